"""Warnings: what is odd about a recording that is stored all the same."""

from array import array
from collections.abc import Iterable
from itertools import islice, pairwise
from operator import sub

import msgspec

from replay.rrweb import UNKNOWN_SOURCE, UNKNOWN_TYPE, EventType, is_increment

GAP_MS = 5 * 60_000  # nothing for five minutes: PostHog's threshold of inactivity
JUMP_MS = 24 * 3_600_000  # a day between neighbours is a clock that was set, not a pause
BACKWARD_JUMP_MS = 60_000  # within one batch, tabs and frames differ by less
DURATION_TOLERANCE_MS = 2000
DURATION_TOLERANCE = 0.05
GAPS_NAMED = 20

_FULL_SNAPSHOT = bytes([EventType.FULL_SNAPSHOT])


class Warning(msgspec.Struct):  # noqa: A001 - API.md's word
    """`count` says how often; `message` is a sentence for people."""

    code: str
    count: int
    message: str


def from_kinds(kinds: bytes | bytearray) -> list[Warning]:
    """no_meta, no_snapshot_at_start, unknown_type. `kinds` are in playing order."""
    found = []
    if kinds and EventType.META not in kinds:
        found.append(Warning("no_meta", 1, "No Meta event says which page this is and how large."))
    before, snapshot, _ = kinds.partition(_FULL_SNAPSHOT)
    early = sum(map(is_increment, before))
    if early or (kinds and not snapshot):
        message = "Changes come before the first full snapshot, so the start cannot be played."
        found.append(Warning("no_snapshot_at_start", max(early, 1), message))
    if unknown := kinds.count(UNKNOWN_TYPE) + kinds.count(UNKNOWN_SOURCE):
        found.append(
            Warning("unknown_type", unknown, "Events of a type or source that is not known were kept.")
        )
    return found


def from_times(ordered: "array[float]", out_of_order: int, set_back: int) -> list[Warning]:
    """gap, clock_jump, out_of_order. `set_back` counts steps back of more than BACKWARD_JUMP_MS within a batch."""
    long = [step for step in map(sub, islice(ordered, 1, None), ordered) if step > GAP_MS]
    gaps = sum(step <= JUMP_MS for step in long)
    jumps = len(long) - gaps + set_back
    found = []
    if gaps:
        found.append(Warning("gap", gaps, "For more than five minutes nothing was recorded."))
    if out_of_order:
        found.append(
            Warning("out_of_order", out_of_order, "Events arrived after later ones and were put in order.")
        )
    if jumps:
        found.append(
            Warning("clock_jump", jumps, "The recorder's clock was set, or several clocks were at work.")
        )
    return found


def from_chunks(numbers: Iterable[int]) -> list[Warning]:
    """seq_gap. `numbers` are those of the chunks that a recording came in, ascending, from 0."""
    gaps = [(before + 1, after - 1) for before, after in pairwise([-1, *numbers]) if after > before + 1]
    if not gaps:
        return []
    named = [str(first) if first == last else f"{first} to {last}" for first, last in gaps]
    more = f" and {len(named) - GAPS_NAMED} gaps more" if len(named) > GAPS_NAMED else ""
    message = f"These chunks never came: {', '.join(named[:GAPS_NAMED])}{more}."
    return [Warning("seq_gap", sum(last - first + 1 for first, last in gaps), message)]


def from_claims(
    *, claimed_events: int | None, received: int, claimed_ms: int | None, duration_ms: int
) -> list[Warning]:
    """event_count_differs, duration_differs."""
    found = []
    if claimed_events is not None and claimed_events != received:
        message = f"The client counted {claimed_events} events, {received} were received."
        found.append(Warning("event_count_differs", abs(claimed_events - received), message))
    if claimed_ms is not None and _is_far(claimed_ms, duration_ms):
        message = f"The client measured {claimed_ms} ms, the events span {duration_ms} ms."
        found.append(Warning("duration_differs", 1, message))
    return found


def from_video(*, video_ms: int | None, duration_ms: int) -> list[Warning]:
    """duration_differs; nothing where the video's duration is not known."""
    if video_ms is None or not _is_far(video_ms, duration_ms):
        return []
    message = f"The video lasts {video_ms} ms, the events span {duration_ms} ms."
    return [Warning("duration_differs", 1, message)]


def _is_far(one_ms: int, other_ms: int) -> bool:
    return abs(one_ms - other_ms) > max(DURATION_TOLERANCE_MS, DURATION_TOLERANCE * max(one_ms, other_ms))
