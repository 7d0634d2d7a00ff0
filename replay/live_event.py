"""One event of a live session becomes an rrweb event, as raw JSON.

| eventType | becomes |
|---|---|
| `rrweb` | the event that its eventData is: an object, or a string that holds a packed one. What is neither stays the string that it came as, which planning rejects and keeps (`replay.unpack`) |
| any other | `{"type":5,"data":{"tag":eventType,"payload":…,"url":…},"timestamp":timestampMillis}`, with the JSON value in its eventData, else with the string itself; without `url` where none was sent |

The same event gives the same bytes whatever batch it comes in and however its JSON was escaped: that is how planning tells
that it came twice.
"""

import json
import re
from itertools import accumulate

import msgspec
from msgspec import Raw

from replay import surrogates

RRWEB = "rrweb"
DEPTH_MAX = (
    400  # brackets in brackets; a bound of our own, well within what any reader of the envelope can follow
)

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)
_ESCAPING_SURROGATE = re.compile(r"\\[\ud800-\udfff]")
_OBJECT, _STRING = b'{"'

_raw = msgspec.json.Decoder(Raw)
_text = msgspec.json.Decoder(str)


def text_of(string: Raw) -> str:
    """The text of a JSON string, unpaired surrogates included."""
    try:
        return _text.decode(string)
    except msgspec.DecodeError:
        return str(json.loads(bytes(string)))


def rrweb_event(text: str) -> Raw | bytes:
    """The event whose JSON, or whose packed form, the text is; else the text as a JSON string."""
    value = _json_in(text)
    if value is not None and memoryview(value)[0] in (_OBJECT, _STRING):
        return value
    return _string(text)


def custom_event(tag: str, text: str, url: str | None, time: int) -> bytes:
    """The custom event that has such a tag and time, ms, and for its payload what the text holds."""
    payload = _json_in(text)
    return b'{"type":5,"data":{"tag":%b,"payload":%b%b},"timestamp":%d}' % (
        _string(tag),
        _string(text) if payload is None else payload,
        b"" if url is None else b',"url":' + _string(url),
        time,
    )


def _json_in(text: str) -> Raw | None:
    """The JSON value that a text is, byte for byte; None when it is none, or too deep to be a part of another."""
    try:
        value = text.encode()
    except UnicodeEncodeError:  # unpaired surrogates, which JSON's strings may hold as escapes
        if _ESCAPING_SURROGATE.search(text):
            return None
        value = text.encode("utf-8", "backslashreplace")
    if len(value) > DEPTH_MAX < value.count(b"[") + value.count(b"{") and _depth(value) > DEPTH_MAX:
        return None
    try:
        return surrogates.decode(_raw, value)
    except (msgspec.DecodeError, RecursionError):
        return None


def _depth(value: bytes) -> int:
    brackets = _STRINGS.sub(b"", value).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _string(text: str) -> bytes:
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")
