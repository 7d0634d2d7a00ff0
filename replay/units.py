"""Units of time: an epoch-seconds value in an epoch-milliseconds stream is scaled to milliseconds.

Sentry's `performanceSpan` events (type 5) are in seconds among neighbours in ms. A stream is in epoch ms when at least
half of its events that are not custom say so (all, when it has only custom ones); in any other stream, times that count
from its own start included, nothing is changed.
"""

from array import array
from decimal import Decimal

from msgspec import Raw

from replay import splice
from replay.rrweb import EventType

# 1e11 is 1973 in ms and the year 5138 in s: what a second is 1000 of lies in between, one day into 1970 at the lowest.
_EPOCH_MS = 1e11
_EPOCH_S = 1e8

_CUSTOM = int(EventType.CUSTOM)


def in_seconds(times: "array[float]", kinds: bytes | bytearray) -> list[int]:
    """The places of the events whose times are seconds in a stream of milliseconds."""
    if min(times, default=_EPOCH_MS) >= _EPOCH_MS:  # nearly always
        return []
    seconds = [place for place, time in enumerate(times) if _EPOCH_S <= time < _EPOCH_MS]
    if not seconds:
        return []
    voters = [time for time, kind in zip(times, kinds, strict=True) if kind != _CUSTOM] or times
    return seconds if 2 * sum(time >= _EPOCH_MS for time in voters) >= len(voters) else []


def in_ms(event: bytes | Raw) -> tuple[bytes, float]:
    """The event with its `timestamp` times 1000, and that timestamp; all its other bytes stay."""
    text = bytes(event)
    place = splice.members(text)["timestamp"]
    token = format((Decimal(text[place.start : place.end].decode()) * 1000).normalize(), "f")
    return splice.replace(text, {place: token.encode()}), float(token)
