"""SQL as people type it, cut into statements: at each `;` that is not in a text, a name or a comment."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<open>['"]|[eE]'|\$\w*\$)
    | (?P<end>;)
    | [A-Za-z_\x80-\U0010ffff][\w$]*
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def cut(typed: str) -> tuple[list[str], str]:
    """The statements that are whole, without their `;`, and what is left: empty when it is only comments and space."""
    statements, at, begin, is_blank = [], 0, 0, True
    while at < len(typed):
        token = _TOKEN.match(typed, at)
        assert token is not None  # noqa: S101  # it takes any character
        kind = token.lastgroup if token.lastgroup != "tag" else "text"
        if kind == "end":
            if not is_blank:
                statements.append(typed[begin:at].strip())
            begin, is_blank, at = token.end(), True, token.end()
        elif kind == "comment":
            closed = _comment_end(typed, at)
            if closed is None:
                return statements, typed[begin:]
            at = closed
        elif kind == "open":
            return statements, typed[begin:]
        else:
            is_blank &= kind == "space"
            at = token.end()
    return statements, "" if is_blank else typed[begin:]


def _comment_end(typed: str, at: int) -> int | None:
    """Where a comment ends that begins here; they nest."""
    depth = 0
    for token in _COMMENT.finditer(typed, at):
        depth += 1 if token[0] == "/*" else -1
        if depth == 0:
            return token.end()
    return None


def each(lines: Iterator[str]) -> Iterator[str]:
    """The statements in lines, each as soon as it is whole, and what the last lines leave. A line that begins with a
    backslash, between statements, is one by itself."""
    typed = ""
    for line in lines:
        if not typed and line.lstrip().startswith("\\"):
            yield line.strip()
            continue
        statements, typed = cut(typed + line)
        yield from statements
    if typed.strip():
        yield typed.strip()
