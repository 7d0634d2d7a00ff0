"""Logs that come beside the events: which of them are good.

A good log is an object. Those of its members that API.md names have API.md's types, or are null or absent; any others may
be there, and may be anything. A client's `id` of a request may be a number.
"""

from typing import Any

import msgspec
from msgspec import Raw

from replay import surrogates


class _Console(msgspec.Struct):
    level: str | None = None
    args: list[Raw] | None = None
    timestamp: float | None = None


class _Network(msgspec.Struct):
    id: str | float | None = None
    url: str | None = None
    method: str | None = None
    status: float | None = None
    startTime: float | None = None  # noqa: N815  # API.md's names
    endTime: float | None = None  # noqa: N815
    duration: float | None = None
    timestamp: float | None = None


_console = msgspec.json.Decoder(_Console)
_network = msgspec.json.Decoder(_Network)


def is_good_console_log(log: Raw) -> bool:
    return _fits(_console, log)


def is_good_network_log(log: Raw) -> bool:
    return _fits(_network, log)


def _fits(decoder: msgspec.json.Decoder[Any], log: Raw) -> bool:
    try:
        surrogates.decode(decoder, log)
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, RecursionError):
        return True  # JSON it is, for it came in an envelope: a number that is out of range is still a number
    return True
