r"""Unpaired surrogates: legal in JSON as escapes (`"\ud83d"`), sent by real recorders, refused by strict decoders.

A JSON text that holds them is mended in place, decoded, and restored: slices that the decoder made are views of the
same buffer, so after `restore` they show the original bytes again. The stand-in is the escape of NUL, which has the
same length and which no text that becomes a column may hold either.
"""

import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

T = TypeVar("T")

_STAND_IN = rb"\u0000"
_LENGTH = len(_STAND_IN)
_PAIR_LENGTH = 2 * _LENGTH
_STEP = 1 << 12
_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[c-fC-F][0-9a-fA-F]{2})"
)
_BACKSLASH = 0x5C
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unpaired(text: bytes | bytearray) -> "array[int]":
    """The offsets of the escapes of unpaired surrogates in a JSON text."""
    places = array("Q")  # a text may consist of them: a list would take many times its size
    # Most of a text has no backslash, and to find the next one takes a tenth of the time of searching for more.
    at = text.find(_BACKSLASH)
    while at >= 0:
        step = at + _STEP
        while match := _SURROGATE.search(text, at, step + _PAIR_LENGTH):
            if (start := match.start()) >= step:
                break
            run = start
            while run and text[run - 1] == _BACKSLASH:
                run -= 1
            if (start - run) % 2:  # its backslash is itself escaped: what follows is plain text
                at = start + 1
                continue
            if match.group(1) is None:
                places.append(start)
            at = match.end()
        at = text.find(_BACKSLASH, max(at, step))
    return places


@contextmanager
def mended(buffer: bytearray) -> Iterator[bool]:
    """Within, `buffer` holds stand-ins for its unpaired surrogates. Yields whether there were any."""
    places, originals = unpaired(buffer), bytearray()
    for at in places:
        originals += buffer[at : at + _LENGTH]
        buffer[at : at + _LENGTH] = _STAND_IN
    try:
        yield bool(places)
    finally:
        for i, at in enumerate(places):
            buffer[at : at + _LENGTH] = originals[i * _LENGTH : (i + 1) * _LENGTH]


def decode(decoder: msgspec.json.Decoder[T], text: bytes | bytearray | memoryview | msgspec.Raw) -> T:
    """Decode, reading each unpaired surrogate as NUL. Slices of a mended text show the original bytes.

    Raises msgspec.DecodeError (ValidationError included) as the decoder does.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        buffer = text if isinstance(text, bytearray) else bytearray(text)
        with mended(buffer) as found:
            if not found:
                raise
            return decoder.decode(buffer)


def storable(text: str) -> str:
    """`text` as Postgres takes it: NUL and surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)
