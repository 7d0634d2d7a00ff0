"""Changing members of a JSON object in its text, so that every byte around them stays."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

# Possessive: a long string costs no backtracking memory. Numbers, literals and white space lie between tokens.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]', re.DOTALL)
_SPACE = b" \t\r\n"


class Member(NamedTuple):
    """One member's value: `text[start:end]`."""

    start: int
    end: int


def members(text: bytes, at: int = 0) -> dict[str, Member]:
    """Where the values of the object's members lie; `text` is valid JSON and its object begins at or after `at`.

    The last of several members of one name counts, as in every JSON reader. One pass, no recursion, no tree.
    """
    found: dict[str, Member] = {}
    depth, key, start = 0, None, 0
    last: bytes | None = None
    for token in _TOKEN.finditer(text, at):
        char = token[0][:1]
        if char in b"{[":
            depth += 1
        elif char in b"}]":
            depth -= 1
            if depth == 0:
                _close(found, text, key, start, token.start())
                break
        elif depth > 1:
            continue
        elif char == b'"':
            last = token[0]
        elif char == b":" and key is None:
            key, start = last, token.end()
        elif char == b",":
            _close(found, text, key, start, token.start())
            key = None
    return found


def replace(text: bytes, changes: dict[Member, bytes]) -> bytes:
    """`text` with each of these places holding other bytes."""
    return b"".join(_replaced(text, changes))


def _replaced(text: bytes, changes: dict[Member, bytes]) -> Iterator[bytes]:
    at = 0
    for place in sorted(changes):
        yield text[at : place.start]
        yield changes[place]
        at = place.end
    yield text[at:]


def _close(found: dict[str, Member], text: bytes, key: bytes | None, start: int, end: int) -> None:
    if key is None:
        return
    while text[start] in _SPACE:
        start += 1
    while text[end - 1] in _SPACE:
        end -= 1
    name = msgspec.json.decode(key, type=str, strict=True) if b"\\" not in key else _unescaped(key)
    found[name] = Member(start, end)


def _unescaped(key: bytes) -> str:
    try:
        return msgspec.json.decode(key, type=str)
    except msgspec.DecodeError:  # an unpaired surrogate: no name that anyone asks for
        return key.decode()
