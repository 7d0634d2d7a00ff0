"""Secrets in a text: what is one by its own form, and what stands under a name that says so.

| rule | what is masked |
|---|---|
| `card_number` | `replay.cards` |
| `header` | the value of a header of API.md, in a list of headers, an object or a line of text |
| `url_parameter` | the value of a URL parameter or form field whose name says that it is secret |
| `secret_field` | the value of such a member of JSON that the text holds |
| `bearer_token` | credentials of `Bearer` (RFC 6750) and of `Basic` (RFC 7617) |
| `jwt` | JSON Web Tokens (RFC 7519), signed or encrypted |
| `private_key` | keys in the textual encoding of RFC 7468 |

A `data:` URL of text in base64 (RFC 2397) that holds one of these is masked whole.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from replay.cards import CANDIDATE, cards

HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "cookie", "set-cookie"),
        *("x-api-key", "x-auth-token", "x-seestack-key"),
    }
)
_WORDS = frozenset(
    {
        *("token", "key", "secret", "password", "auth", "passwd", "pwd", "passphrase"),
        *("apikey", "jwt", "signature", "credential", "credentials", "authorization"),
    }
)
_ENDINGS = ("token", "secret", "password", "passwd", "apikey", "accesskey", "privatekey")
# Alone, in JSON, four of these say too little; `cookies` are those of a request in an HTTP archive (HAR).
_FIELD_WORDS = _WORDS - {"key", "auth", "signature", "authorization"} | {"cookies"}
Span = tuple[int, int]
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")

_PARAMETER = re.compile(rb"""(?:^|[?&#;,/\s"'(])([A-Za-z0-9_.\[\]-]{1,100})=""")
# `encodeURIComponent` leaves parentheses and apostrophes as they are; text ends a URL with them.
_PARAMETER_VALUE = re.compile(
    rb"""(?:[^&#;\s"'<>()\\]++|\([^&#;\s"'<>()\\]*+\)(?=[A-Za-z0-9&])|'(?=[A-Za-z0-9]))++"""
)
_MEMBER = re.compile(rb"""["']([A-Za-z0-9_.-]{1,100})["']\s*:\s*""")
_LINE = rb"""(?i)(?:^|[^A-Za-z0-9_-])(%b)["']?\s*:\s*"""
# A header in a list of headers, or a field in a list of fields, within a text.
_PAIR = re.compile(
    rb"""(?i)["'](?:name|key|header)["']\s*:\s*["']([A-Za-z0-9_.-]{1,100})["']\s*,\s*["']value["']\s*:\s*"""
)
_VALUE = re.compile(
    rb"""(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+|'[^']*+)|(?P<several>[\[{])|(?P<literal>(?:true|false|null)\b)"""
    rb"""|(?P<bare>[^\r\n"'}\]]+)""",
    re.DOTALL,
)
_PART = re.compile(
    rb'(?P<open>[\[{])|(?P<close>[\]}])|"([^"\\]*+(?:\\.[^"\\]*+)*+)"?+(?P<colon>\s*+:)?', re.DOTALL
)
_BARE_END = re.compile(rb"[,;&\s]")
_LINE_END = re.compile(rb"""[\r\n"']""")
_BEARER = re.compile(rb"(?i)(?<![a-z0-9])bearer(?:[ +:]|\xc2\xa0)+([a-z0-9._~+/-]{6,}=*)")
_BASIC = re.compile(rb"(?i)(?<![a-z0-9])basic[ +:]+([a-z0-9+/_-]{4,}=*)")
_TOKEN_LIKE = re.compile(rb"[0-9]|\A.{20}", re.DOTALL)  # "Bearer certificates" is no token
_JWT = re.compile(rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}")
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY|\Z)", re.DOTALL
)
_TEXT_TYPES = (
    rb"(?i:data:(?:text/|application/(?:json|xml|javascript|x-www-form-urlencoded))[^,\"]{0,200};base64,)"
)
_DATA_URL = re.compile(_TEXT_TYPES + rb"([A-Za-z0-9+/_=-]+)")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

# A raw JSON text holds one of these near every string in which `secrets` finds something, in whatever way it is encoded:
# JSON escapes and percent-encoding of letters, digits and what joins them are worth a look by themselves.
ESCAPED_NAME = rb"\\u00(?:2[0bBdDeEfF]|3[0-9aAdD]|[4-7][0-9a-fA-F])"
_QUOTE = rb"""(?:\\*["']|\\+u002[27])"""
_TRIGGERS = (
    CANDIDATE,
    rb"(?i:token|key|secret|passw|pwd|auth|jwt|passphrase|signature|credential)[A-Za-z0-9_.%\[\]-]{0,40}(?:=|%3[dD])",
    rb"(?i:passw(?:or)?d|passwd|pwd|passphrase|secret|token|jwt|credentials?|(?:api|access|private)[_-]?key)QUOTE\s*[:,]",
    rb"(?i:authorization|cookies?|x-api-key|x-auth-token|x-seestack-key)(?:QUOTE|\s*:)",
    rb"(?i:bearer|basic)(?:[ +:]|%20|\xc2\xa0)+[A-Za-z0-9]",
    rb"eyJ[A-Za-z0-9_-]{5,}\.",
    rb"PRIVATE KEY",
    ESCAPED_NAME,
    rb"%(?:2[dDeE]|25[2-7]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])",
    _TEXT_TYPES,
)


class Secret(NamedTuple):
    """`text[start:end]` is to be masked, by this rule."""

    start: int
    end: int
    rule: str


class Detector:
    """Finds secrets in texts; `keys` are further names whose values are (`replay.privacy.Rules`)."""

    def __init__(self, keys: Collection[str] = (), *, builtin: bool = True) -> None:
        self._keys = frozenset(key.lower() for key in keys)
        self._builtin = builtin
        own = [re.escape(key.encode()) for key in self._keys]
        named = own + ([re.escape(name.encode()) for name in HEADERS] if builtin else [])
        self._line = re.compile(_LINE % b"|".join(sorted(named, reverse=True))) if named else None
        triggers = list(_TRIGGERS) if builtin else []
        if own:
            triggers.append(rb"(?i:%b)(?:QUOTE|\s*:|=|%%3[dD])" % b"|".join(own))
        self.triggers = [trigger.replace(b"QUOTE", _QUOTE) for trigger in triggers]

    def member_rule(self, name: str) -> str | None:
        """The rule by which the value of a JSON member of this name is masked, or None."""
        return self._own_rule(name) or ("secret_field" if self._builtin and _ends_secret(name) else None)

    def secrets(self, text: bytes) -> Iterator[Secret]:
        """What is secret in this text. Spans may overlap."""
        yield from _named(text, _PARAMETER, self._parameter_rule, _parameter)
        yield from _named(text, _MEMBER, self.member_rule, _value)
        yield from _named(text, _PAIR, self.member_rule, _value)
        if self._line:
            yield from _named(text, self._line, self._own_rule, _line)
        if self._builtin:
            yield from _by_form(text)
            for match in _DATA_URL.finditer(text):
                for secret in self.secrets(_from_base64(match[1])):
                    yield Secret(*match.span(1), secret.rule)
                    break

    def _parameter_rule(self, name: str) -> str | None:
        return self._own_rule(name) or ("url_parameter" if self._builtin and _says_secret(name) else None)

    def _own_rule(self, name: str) -> str | None:
        name = name.lower()
        return "key" if name in self._keys else "header" if self._builtin and name in HEADERS else None


def _words(name: str) -> list[str]:
    return [word.lower() for word in _CAMEL.split(name) if word]


def _says_secret(name: str) -> bool:
    """Whether a word of the name, or its end, is one of a secret: `api_key`, `accessToken`, `authtoken`."""
    return not _WORDS.isdisjoint(_words(name)) or name.lower().endswith(_ENDINGS)


def _ends_secret(name: str) -> bool:
    """Whether the name is that of a secret, rather than of something about one: no `tokenType`, no `password_hint`."""
    joined = "".join(_words(name))
    return joined.endswith(_ENDINGS) or joined in _FIELD_WORDS


def _by_form(text: bytes) -> Iterator[Secret]:
    for start, end in cards(text):
        yield Secret(start, end, "card_number")
    for match in _BEARER.finditer(text):
        if _TOKEN_LIKE.search(match[1]):
            yield Secret(*match.span(1), "bearer_token")
    for match in _BASIC.finditer(text):
        if b":" in _from_base64(match[1]):
            yield Secret(*match.span(1), "bearer_token")
    for match in _JWT.finditer(text):
        yield Secret(*match.span(), "jwt")
    for match in _PRIVATE_KEY.finditer(text):
        yield Secret(*match.span(1), "private_key")


def _named(
    text: bytes,
    names: re.Pattern[bytes],
    rule_of: Callable[[str], str | None],
    value_of: Callable[[bytes, int, str], tuple[list[Span], int]],
) -> Iterator[Secret]:
    """What stands under the names that say so. In a value that is secret no further names are looked for."""
    at = 0
    while match := names.search(text, at):
        at = match.end()
        if rule := rule_of(match[1].decode()):
            spans, at = value_of(text, at, rule)
            for start, end in spans:
                yield Secret(start, end, rule)


def _parameter(text: bytes, start: int, rule: str) -> tuple[list[Span], int]:
    match = _PARAMETER_VALUE.match(text, start)
    return ([match.span()], match.end()) if match else ([], start)


def _value(text: bytes, start: int, rule: str) -> tuple[list[Span], int]:
    """The value that begins at `start`: a string, the strings of a list or an object, or the rest of a line.

    Returns what of it is secret, and where it ends.
    """
    match = _VALUE.match(text, start)
    if match is None or match.lastgroup == "literal":
        return [], start
    start, end = match.span()
    if match.lastgroup == "string":
        return [(start + 1, end)], end
    if match.lastgroup == "several":
        return _strings(text, start)
    over = None if rule == "header" else _BARE_END.search(text, start, end)
    end = over.start() if over else end
    return [(start, end)], end


def _line(text: bytes, start: int, rule: str) -> tuple[list[Span], int]:
    """The same of a header as HTTP writes it, whose value may hold brackets."""
    is_quoted = text[max(0, start - 8) : start].rstrip(b" \t:")[-1:] in (b'"', b"'")
    if rule != "header" or is_quoted or text[start : start + 1] in (b'"', b"'", b"[", b"{"):
        return _value(text, start, rule)
    over = _LINE_END.search(text, start)
    end = over.start() if over else len(text)
    return [(start, end)], end


def _strings(text: bytes, start: int) -> tuple[list[Span], int]:
    """The strings of the list or object that begins at `start`, without names of members, and where it ends."""
    found: list[Span] = []
    depth = 0
    for part in _PART.finditer(text, start):
        if part["open"]:
            depth += 1
        elif part["close"]:
            depth -= 1
        elif not part["colon"]:
            found.append(part.span(3))
        if depth == 0:
            return found, part.end()
    return found, len(text)


def _from_base64(text: bytes) -> bytes:
    """What it decodes to as far as it goes; nothing when it is no base64, in either alphabet of RFC 4648."""
    text = text.translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""
