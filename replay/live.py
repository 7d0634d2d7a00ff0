"""A batch of a live session: the JSON object that `POST /ingest/v1/replay` carries becomes an envelope (`replay.envelope`).

What makes it acceptable is checked here, to the last event; one bad event refuses the batch. What its events hold is looked
into while they are planned, but for their becoming rrweb events (`replay.live_event`)::

    {"fingerprint": …, "sessionId": …, "final": true, "events": [{"eventType", "eventData", "url", "timestampMillis"}, …]}
    → {"started_at": …, "open": true, "events": [{"type": 5, "data": {"tag", "payload", "url"}, "timestamp"}, …]}
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw

from replay import faults, surrogates, utf8
from replay.envelope import BadEnvelope
from replay.events import LAST_TIME_MS
from replay.faults import NULL, Fault, Members, Misfit, is_blank, is_missing, refusal
from replay.live_event import RRWEB, custom_event, rrweb_event, text_of
from replay.moment import EPOCH, moment

NAME_MAX = 200  # characters of `fingerprint` and `sessionId`
TYPE_MAX = 100
TIME_MAX = int(LAST_TIME_MS)

_STRING = ord('"')


class Batch(msgspec.Struct):
    """What a batch says of itself. `events` counts them; `started_at` is the earliest of their times, None where that is
    beyond the calendar; `final`: it is the session's last."""

    fingerprint: str
    session_id: str
    final: bool
    events: int
    started_at: datetime | None


class LiveBatch(NamedTuple):
    """A batch, and the envelope that is stored of it, in parts."""

    batch: Batch
    envelope: list[bytes | bytearray]


class _Event(msgspec.Struct, gc=False):
    eventType: Raw  # noqa: N815  # API.md's names
    eventData: Raw  # noqa: N815
    timestampMillis: Annotated[int, Meta(ge=0, le=TIME_MAX)]  # noqa: N815
    url: Raw = NULL


class _Sent(msgspec.Struct):
    fingerprint: Raw
    sessionId: Raw  # noqa: N815
    events: Annotated[list[_Event], Meta(min_length=1)]
    final: bool | None = None


_decoder = msgspec.json.Decoder(_Sent)


def decode_batch(body: bytearray) -> LiveBatch:
    """The batch in `body`, which is changed while this runs, and is as before afterwards.

    Raises BadEnvelope, which tells of every field that is wrong (`replay.faults`).
    """
    if (offset := utf8.first_error(body)) is not None:
        raise BadEnvelope(f"invalid UTF-8 at byte {offset}")
    try:
        sent = surrogates.decode(_decoder, body)
        return _live_batch(sent)
    except (msgspec.DecodeError, RecursionError, Misfit) as error:
        raise refusal(body, _faults, error) from None


def _live_batch(sent: _Sent) -> LiveBatch:
    fingerprint, session_id = _name(sent.fingerprint, NAME_MAX), _name(sent.sessionId, NAME_MAX)
    if any(surrogates.storable(name) != name for name in (fingerprint, session_id)):
        raise Misfit
    started_at = moment(min([event.timestampMillis for event in sent.events]))
    envelope = bytearray(b'{"started_at":"%b","open":true,"events":[' % _iso(started_at))
    for event in sent.events:
        envelope += _rrweb(event)
        envelope += b","
    envelope[-1:] = b"]}"
    batch = Batch(fingerprint, session_id, sent.final or False, len(sent.events), started_at)
    return LiveBatch(batch, [envelope])


def _rrweb(event: _Event) -> Raw | bytes:
    tag, text = _name(event.eventType, TYPE_MAX), _text(event.eventData)
    url = None if is_missing(event.url) else _text(event.url)
    return rrweb_event(text) if tag == RRWEB else custom_event(tag, text, url, event.timestampMillis)


def _name(value: Raw, longest: int) -> str:
    text = _text(value)
    if is_blank(text) or len(text) > longest:
        raise Misfit
    return text


def _text(value: Raw) -> str:
    if memoryview(value)[0] != _STRING:
        raise Misfit
    return text_of(value)


def _iso(began: datetime | None) -> bytes:
    return (began or EPOCH).isoformat().encode()


def _faults(sent: Members) -> Iterator[Fault]:
    for field in ("fingerprint", "sessionId"):
        yield from faults.name(field, sent.get(field, NULL), NAME_MAX, storable=True)
    yield from faults.array("events", sent.get("events", NULL))
    for i, event in enumerate(faults.items_of(sent.get("events", NULL))):
        of = faults.members_of(event)
        path = f"events[{i}]"
        if memoryview(event)[0] != ord("{"):
            yield path, "must be an object"
            continue
        yield from faults.name(f"{path}.eventType", of.get("eventType", NULL), TYPE_MAX)
        yield from faults.text(f"{path}.eventData", of.get("eventData", NULL))
        yield from faults.whole_number(f"{path}.timestampMillis", of.get("timestampMillis", NULL), TIME_MAX)
        yield from faults.text(f"{path}.url", of.get("url", NULL), optional=True)
    yield from faults.boolean("final", sent.get("final", NULL))
