"""Packed events become plain ones.

- `@rrweb/packer`: the event is a JSON *string* of latin-1 characters, zlib data of a JSON object with `"v": "v1"`. Its
  `unpack` also takes a string that is the event's JSON text as it is; so does this.
- PostHog, `"cv": "2024-10"`: a full snapshot's `data`, a mutation's `texts`, `attributes`, `removes`, `adds`, and a
  style sheet rule's `adds`, `removes` are latin-1 strings of gzip data. Only these members change; `cv` stays, as it
  does in PostHog's own `decompressEvent`, and a member that is packed no more is left alone.
"""

import zlib
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from replay import splice, surrogates, utf8
from replay.events import Head, Rejected
from replay.rrweb import SOURCE_BASE, EventType, Source

T = TypeVar("T")

MARK = "v1"
CV = "2024-10"
EVENT_MAX_BYTES = 64 << 20  # what one packed event, or one packed member, may unpack to

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_PACKED_MEMBERS = {
    SOURCE_BASE + Source.MUTATION: ("texts", "attributes", "removes", "adds"),
    SOURCE_BASE + Source.STYLE_SHEET_RULE: ("adds", "removes"),
}


class _Packed(msgspec.Struct):
    v: object = None


_string = msgspec.json.Decoder(str)
_packed = msgspec.json.Decoder(_Packed)
_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])


def unpack_string(event: Raw, limit: int = EVENT_MAX_BYTES) -> bytes:
    """The JSON object that a packed event, a JSON string, holds, of at most `limit` bytes. Raises Rejected."""
    text = _decoded(event)
    if text.startswith("{"):
        plain = text.encode("utf-8", "surrogatepass")
        _check(_object, plain)
        return plain
    plain = _inflate(text, limit)
    mark = _check(_packed, plain)
    if mark.v != MARK:
        raise Rejected("bad_pack")
    return plain


def unpack_members(event: Raw, head: Head, limit: int = EVENT_MAX_BYTES) -> bytes | Raw:
    """The event with its `cv` members unpacked, each to at most `limit` bytes; the same object where none is packed.

    Raises Rejected.
    """
    if head.cv != CV or not (head.kind == EventType.FULL_SNAPSHOT or head.kind in _PACKED_MEMBERS):
        return event
    text = bytes(event)
    data = splice.members(text).get("data")
    if data is None:
        return event
    if head.kind == EventType.FULL_SNAPSHOT:
        packed: list[splice.Member] = [data]
        shape: msgspec.json.Decoder[Any] = _object
    else:
        inner = splice.members(text, data.start)
        packed, shape = [inner[name] for name in _PACKED_MEMBERS[head.kind] if name in inner], _array
    changes = {place: _unpacked(text, place, shape, limit) for place in packed if _is_string(text, place)}
    return splice.replace(text, changes) if changes else event


def _is_string(text: bytes, place: splice.Member) -> bool:
    return text[place.start] == ord('"')


def _unpacked(text: bytes, place: splice.Member, shape: msgspec.json.Decoder[Any], limit: int) -> bytes:
    plain = _inflate(_decoded(text[place.start : place.end]), limit)
    _check(shape, plain)
    return plain


def _decoded(string: Raw | bytes) -> str:
    try:
        return _string.decode(string)
    except msgspec.DecodeError:  # an unpaired surrogate is no latin-1
        raise Rejected("bad_pack") from None


def _inflate(packed: str, limit: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = inflater.decompress(packed.encode("latin-1"), limit)
    except (UnicodeEncodeError, zlib.error):
        raise Rejected("bad_pack") from None
    if inflater.unconsumed_tail:
        raise Rejected("too_large")
    if not inflater.eof or inflater.unused_data:
        raise Rejected("bad_pack")
    return plain


def _check(shape: msgspec.json.Decoder[T], plain: bytes) -> T:
    if utf8.first_error(plain) is not None:
        raise Rejected("bad_pack")
    try:
        return surrogates.decode(shape, plain)
    except msgspec.DecodeError:
        raise Rejected("bad_pack") from None
    except RecursionError:
        raise Rejected("too_deep") from None
