"""From payloads to a plan: what a recording becomes, decided without I/O, clock or database.

The way of an event: unpack → check → units → order → duplicates → tape. It stays a raw slice of its payload; one that
has to change (packed, or timed in seconds) is made anew from its slice each time it is looked at, so that memory holds
the payload once and never everything unpacked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from replay import findings
from replay.envelope import BadEnvelope
from replay.findings import Warning  # noqa: A004 - API.md's word
from replay.gather import Gathered
from replay.index import Index
from replay.inflate import BadStream, inflated
from replay.mask import NOTHING, Mask, Masker
from replay.moment import moment
from replay.order import playing_order
from replay.rrweb import EventType
from replay.sidecar import write as write_sidecar
from replay.summary import Account, Summary
from replay.tape import LEVEL
from replay.tape import write as write_tape

__all__ = ["Account", "BadRecording", "Claims", "Plan", "Summary", "Warning", "plan"]


class BadRecording(Exception):
    """A recording that can never be stored. `code`: `payload_unreadable` or `no_valid_events`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Claims(msgspec.Struct, frozen=True):
    """What the client said beside the events; ms."""

    event_count: int | None = None
    duration_ms: int | None = None
    video: bool = False


def plan(
    batches: Iterable[Iterable[bytes]],
    claims: Claims,
    *,
    masker: Masker = NOTHING,
    live: bool = False,
    level: int = LEVEL,
    max_bytes: int,
) -> "Plan":
    """The plan for what was received. Each batch is the chunks, split anywhere, of one zstd-compressed envelope.

    `max_bytes` caps what all batches decompress to together, and once more what packed events unpack to. `level` is
    zstd's, 1 to 19. `live`: it came as a live session, whose custom events say what happened (`replay.live_payload`).
    Raises BadRecording.
    """
    gathered, room = Gathered(max_bytes, Mask(masker), live=live), max_bytes
    for chunks, last in _with_last(batches):
        body = _body(chunks, room)
        room -= len(body)
        try:
            gathered.add(body, last=last)
        except BadEnvelope as bad:
            raise _unlike_accepted(f"{bad.field}: {bad.message}" if bad.field else bad.message) from bad
        except msgspec.DecodeError as error:
            raise _unlike_accepted(f"an event is not readable: {error}") from error
    return Plan(gathered, claims, level)


class Plan:
    """What a recording becomes. Reading the figures costs nothing; `tape` and `sidecar` compute as they are consumed."""

    def __init__(self, gathered: Gathered, claims: Claims, level: int) -> None:
        self._events = gathered
        self._level = level
        self._index: Index | None = None
        tally = gathered.tally
        if not gathered.times and not (claims.video and gathered.received == 0):
            raise _no_valid_events(gathered)
        gathered.scale()
        order = playing_order(gathered.times)
        gathered.mask_pages(order)
        self._recorded = recorded = gathered.recorded(order)
        self.masked = dict(gathered.mask.counts)
        self.playable = _is_playable(recorded.kinds)
        self.summary = tally.finish(recorded, gathered.times)
        self.account = Account(
            received=gathered.received,
            stored=len(recorded.times),
            duplicate=gathered.duplicate,
            rejected=len(gathered.rejected),
            bytes=sum(recorded.sizes),
        )
        self.started_at: datetime | None = None
        if gathered.received == 0:  # only a video was sent: the client's figures stay
            self.event_count = claims.event_count or 0
            self.duration_ms = claims.duration_ms or 0
            self.navigations = gathered.navigations
            self.warnings: list[Warning] = []
            return
        start, end = recorded.times[0], recorded.times[-1]
        self.started_at = moment(start)
        self.event_count = len(recorded.times)
        self.duration_ms = round(end - start)
        self.navigations = tally.navigations(gathered.times, start)
        self.warnings = [
            *findings.from_kinds(recorded.kinds),
            *findings.from_times(recorded.times, *gathered.disorder(order)),
            *findings.from_claims(
                claimed_events=claims.event_count,
                received=gathered.received,
                claimed_ms=claims.duration_ms,
                duration_ms=self.duration_ms,
            ),
        ]

    @property
    def index(self) -> Index:
        """Known once `tape` was consumed to its end."""
        if self._index is None:
            raise RuntimeError("the tape has not been written yet")
        return self._index

    def tape(self) -> Iterator[bytes]:
        """The bytes of the tape (`replay.tape`), index frame included. Deterministic: again gives the same bytes."""
        self._index = yield from write_tape(self._recorded, level=self._level)

    def sidecar(self) -> Iterator[bytes]:
        """The bytes of the sidecar (`replay.sidecar`)."""
        events = self._events
        rejected = [*events.rejected, *events.rejected_logs]
        return write_sidecar(events.console, events.network, events.client_info, rejected, level=self._level)


def _with_last(batches: Iterable[Iterable[bytes]]) -> Iterator[tuple[Iterable[bytes], bool]]:
    """Each batch, and whether none comes after it."""
    remaining = iter(batches)
    batch = next(remaining, None)
    while batch is not None:
        following = next(remaining, None)
        yield batch, following is None
        batch = following


def _unlike_accepted(what: str) -> BadRecording:
    return BadRecording("payload_unreadable", f"The payload is not what was accepted: {what}.")


def _body(chunks: Iterable[bytes], max_bytes: int) -> bytearray:
    try:
        return inflated(chunks, max_bytes)
    except BadStream as bad:
        raise BadRecording("payload_unreadable", f"The payload {bad}.") from None


def _no_valid_events(gathered: Gathered) -> BadRecording:
    reasons = Counter(rejected.reason for rejected in gathered.rejected)
    said = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    return BadRecording(
        "no_valid_events", f"None of the {gathered.received} events is valid: {said or 'there are none'}."
    )


def _is_playable(kinds: bytes | bytearray) -> bool:
    """There is a full snapshot, and a Meta before it. `kinds` are in playing order."""
    meta = kinds.find(EventType.META)
    return meta >= 0 and kinds.find(EventType.FULL_SNAPSHOT, meta) >= 0
