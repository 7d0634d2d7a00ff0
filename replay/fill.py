r"""Overwriting a value so that nothing around it moves: what is masked keeps its length, in characters and in bytes.

White space stays, so that a page still lays out; every other character becomes one that takes as many bytes and as many
UTF-16 units:

| character | becomes |
|---|---|
| ASCII | `*` |
| two, three, four bytes of UTF-8 | `·` U+00B7, `•` U+2022, U+1F532 |
| `\u0041`, an unpaired surrogate too | `\u002a` |
| `\"`, `\\`, `\/` | `\/` |
| a digit of a number that is no string | `1`, so that it stays a number |
"""

import re

_ASCII = bytes(byte if byte <= 0x20 else ord("*") for byte in range(256))
_DIGITS = bytes(ord("1") if ord("0") <= byte <= ord("9") else byte for byte in range(256))
_CHARACTER = re.compile(
    rb"(\\u[0-9a-fA-F]{4})|(\\.)|([\xc0-\xdf].)|([\xe0-\xef]..)|([\xf0-\xff]...)|[^\\\x80-\xff]+", re.DOTALL
)
_SPACES = frozenset(rb"\u%04x" % code for code in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0xA0))
_SPACE_ESCAPES = frozenset((rb"\n", rb"\r", rb"\t", rb"\f", rb"\b"))
_NO_BREAK_SPACE = b"\xc2\xa0"
_TOKEN = re.compile(
    rb'(?P<key>"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:)|(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    rb"|(?P<number>-?[0-9][0-9.eE+-]*+)|(?P<open>[\[{])|(?P<close>[\]}])",
    re.DOTALL,
)


def fill(text: bytearray, start: int, end: int) -> bool:
    """Overwrite `text[start:end]`, whole characters inside a JSON string. Returns whether that changed anything."""
    before = bytes(text[start:end])
    after = before.translate(_ASCII) if before.isascii() and b"\\" not in before else _by_character(before)
    text[start:end] = after
    return after != before


def fill_value(text: bytearray, start: int) -> tuple[int, int]:
    """Overwrite the strings and numbers of the JSON value that begins at `start`; keys and literals stay.

    Returns where the value ends, and how many of its strings and numbers changed.
    """
    depth = changed = 0
    if text[start] in b"tfn":
        return start, 0
    for token in _TOKEN.finditer(text, start):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "number":
            changed += _replace(text, token.start(), token[0].translate(_DIGITS))
        elif kind == "string":
            changed += fill(text, token.start() + 1, token.end() - 1)
        if depth <= 0:
            return token.end(), changed
    return len(text), changed


def _replace(text: bytearray, start: int, after: bytes) -> bool:
    before = text[start : start + len(after)]
    text[start : start + len(after)] = after
    return after != before


def _by_character(text: bytes) -> bytes:
    return _CHARACTER.sub(_filler, text)


def _filler(match: re.Match[bytes]) -> bytes:
    character = match[0]
    match match.lastindex:
        case 1:
            return character if character.lower() in _SPACES else rb"\u002a"
        case 2:
            return character if character in _SPACE_ESCAPES else rb"\/"
        case 3:
            return character if character == _NO_BREAK_SPACE else b"\xc2\xb7"
        case 4:
            return b"\xe2\x80\xa2"
        case 5:
            return b"\xf0\x9f\x94\xb2"
        case _:
            return character.translate(_ASCII)
