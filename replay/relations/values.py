r"""JSON values as rows need them: each is either one that a column can hold exactly, or of a type that says it is not.

A text becomes dict, list, str, int, float, bool and None, as everywhere, and in two cases something else:

- `Number`: a number that is neither an integer of at most ±2^53 nor a finite double written in full: 1e999,
  12345678901234567890123, 0.1000000000000000055. Minus zero is one, too: jsonb would take its sign.
- `Unstorable`: a string with NUL or an unpaired surrogate, which neither text nor jsonb takes.

So whoever looks at the exact type of a value knows whether it fits. Depth has no limit: what is too deep for the
C decoder and encoder is read and written here without recursion.
"""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw

from replay import surrogates

EXACT_INT = 2**53  # up to here a double counts every integer
_LONG_DIGITS = len(str(-(2**63)))
JSONB_MAX_BYTES = 1 << 27  # Postgres takes twice as much in one jsonb array or object


class Number:
    """A number that no column holds exactly, as it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Unstorable(str):
    """A string with NUL or an unpaired surrogate."""

    __slots__ = ()


def parse(text: bytes | Raw) -> Any:
    """The value of a valid JSON text. Of several members of one name the last counts."""
    text = bytes(text)
    if not (_NUL in text or _MINUS_ZERO.search(text) or _has_long(text)):
        try:
            return _decode(text)
        except (msgspec.DecodeError, RecursionError):  # an unpaired surrogate; very deep
            pass
    return parse_slowly(text)


def dump(value: Any) -> str:
    """A JSON text of this value, without any raw NUL or surrogate."""
    try:
        return _encode(value).decode()
    except (UnicodeEncodeError, RecursionError):  # a name with an unpaired surrogate; very deep
        return "".join(_pieces(value))


def jsonb(value: Any) -> str | None:
    """A JSON text of this value that jsonb keeps exactly; None where it cannot."""
    try:
        text = _encode_storable(value)
    except (UnicodeEncodeError, RecursionError, _NotStorable):
        return None
    return None if _NUL in text or len(text) > JSONB_MAX_BYTES else text.decode()


# Which types a value of these is nearly of.
ALMOST: dict[type, tuple[type, ...]] = {Number: (float, int), Unstorable: (str,)}


def nearly(value: Number | Unstorable, as_type: type) -> float | int | str | None:
    """The nearest value that a column of this type holds; None where there is none."""
    if isinstance(value, Unstorable):
        return surrogates.storable(value)
    near = float(value.text)
    if as_type is float:
        return near if math.isfinite(near) else None
    exact = int(value.text) if len(value.text) <= _LONG_DIGITS and value.text.lstrip("-").isdigit() else None
    return exact if exact is not None and -(2**63) <= exact < 2**63 else None


def number(text: str) -> int | float | Number:
    """The value of a JSON number."""
    if text.lstrip("-").isdigit():
        if len(text) <= len(str(-EXACT_INT)) and text != "-0" and abs(value := int(text)) <= EXACT_INT:
            return value
        return Number(text)
    return _fraction(text)


def plain(value: float) -> int | float:
    """A double as recorders write it: whole numbers without a fraction."""
    return int(value) if abs(value) <= EXACT_INT and value == int(value) else value


def _fraction(text: str) -> float | Number:
    value = float(text)
    if value and repr(value) == text:
        return value
    if not math.isfinite(value) or (not value and text[0] == "-"):
        return Number(text)
    try:
        exact = Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # an exponent beyond all bounds
        exact = False
    return value if exact else Number(text)


# What the C decoder does not tell. It may be found inside strings, too, at no harm. What follows a literal beginning, or
# no look-behind, is found several times as fast.
_NUL = rb"\u0000"
_MINUS_ZERO = re.compile(rb"-0(?![.0-9])(?<![^:,\[\s]-0)")
_LONG = re.compile(rb"[0-9]{16}(?<![.0-9][0-9]{16})")  # but for fractions
_TO_ZEROS, _ZEROS = bytes.maketrans(b"123456789", b"0" * 9), b"0" * 16
_decode = msgspec.json.Decoder(float_hook=_fraction).decode


def _has_long(text: bytes) -> bool:
    """Whether `_LONG` is found; whether any 16 digits are is found out ten times as fast."""
    return _ZEROS in text.translate(_TO_ZEROS) and _LONG.search(text) is not None


_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|[^\s,:{}\[\]"]+', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LITERALS = {b"true": True, b"false": False, b"null": None}


def parse_slowly(text: bytes) -> Any:
    """As `parse`, token by token: any depth, any string, any number."""
    top: list[Any] = []
    here: Any = top
    outside: list[Any] = []
    name: str | None = None
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[:1]
        if first == b'"':
            value: Any = _string(token)
            if type(here) is dict and name is None:
                name = value
                continue
        elif first in b"}]":
            here = outside.pop()
            continue
        elif first == b"{":
            value = {}
        elif first == b"[":
            value = []
        else:
            value = _LITERALS[token] if token in _LITERALS else number(token.decode())
        if name is None:
            here.append(value)
        else:
            here[name] = value
            name = None
        if first in b"{[":
            outside.append(here)
            here = value
    return top[0]


def _string(token: bytes) -> str:
    if b"\\" not in token:
        return token[1:-1].decode()
    text: str = json.loads(token)
    return Unstorable(text) if _UNSTORABLE.search(text) else text


class _NotStorable(Exception):
    """jsonb does not take this value."""


def _odd(value: Any) -> Raw:
    if type(value) is Number:
        return Raw(value.text.encode())
    try:
        return Raw(_encode(str(value)))
    except UnicodeEncodeError:
        return Raw(json.dumps(value).encode())


def _refuse(value: Any) -> Raw:
    raise _NotStorable


_encode = msgspec.json.Encoder(enc_hook=_odd).encode
_encode_storable = msgspec.json.Encoder(enc_hook=_refuse).encode


def _pieces(value: Any) -> Iterator[str]:
    inside: list[tuple[Iterator[Any], str]] = [(iter([value]), "")]
    comma = ""
    while inside:
        values, end = inside[-1]
        for value in values:
            yield comma
            comma = ","
            if end == "}":
                name, value = value
                yield json.dumps(name) + ":"
            if type(value) is dict:
                yield "{"
                inside.append((iter(value.items()), "}"))
            elif type(value) is list:
                yield "["
                inside.append((iter(value), "]"))
            else:
                yield _encode(value).decode()
                continue
            comma = ""
            break
        else:
            yield end
            comma = ","
            inside.pop()
