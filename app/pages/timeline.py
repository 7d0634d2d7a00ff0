"""A recording's life as a picture: one lane for its statuses, one for each job with its attempts, one for objects.

The axis. Things happen milliseconds apart, and weeks. A *stretch*, from one moment at which something begins or ends to the
next, is log2(1 + its length / 100 ms) wide: in proportion as long as that is short, then one step more whenever it doubles.
So wider is longer, but not in proportion, and the picture says so; it also says how long each stretch is. What has not
ended runs into a *tail* of a fixed width, at the right.

Across, everything is in per cent of the width, whatever that is; down, in pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from math import log2
from typing import Literal

from app.ops_documents import MomentDocument
from app.pages.environment import lasting, since

UNIT_MS = 100
TAIL = 16.0
NARROWEST = 0.7  # so that no bar is too thin to be seen
APART, APART_NARROW = 5.0, 18.0  # between lines of the grid: at a desk, on a phone
JOBS_MAX = 16
TOP_PX, LANE_PX, BOTTOM_PX = 26, 42, 24
NARROW_PX, WIDE_PX = 300, 960  # how wide the picture is on a phone, and at least on a desk
CHAR_PX, AROUND_PX = 6.3, 8

Room = Literal["always", "roomy"]


@dataclass(frozen=True)
class Words:
    """A text and where there is room for it: `roomy`, not on a phone."""

    text: str
    room: Room


@dataclass(frozen=True)
class Bar:
    """Something that lasts. `says` tells all of it; `thin`: a job, behind its attempts."""

    left: float
    width: float
    look: str
    says: str
    words: Words | None = None
    thin: bool = False


@dataclass(frozen=True)
class Dot:
    """Things that happened at one moment."""

    left: float
    look: str
    says: str
    count: int


@dataclass
class Lane:
    """What belongs together, from top to bottom in time."""

    name: str
    state: str = ""
    bars: list[Bar] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)


@dataclass(frozen=True)
class Stretch:
    """Between two lines of the grid."""

    left: float
    width: float
    words: Words | None

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


@dataclass(frozen=True)
class Picture:
    """What is to be drawn. `few`: the stretches as a phone has room for them. `left_out`: jobs that there is no room for."""

    lanes: Sequence[Lane]
    stretches: Sequence[Stretch]
    few: Sequence[Stretch]
    tail: Stretch
    begins: str
    left_out: int

    @property
    def height(self) -> int:
        return TOP_PX + LANE_PX * len(self.lanes) + BOTTOM_PX


def picture(moments: Sequence[MomentDocument], now: str, *, deleted_at: str | None = None) -> Picture | None:
    """A life as it is `now`; None of nothing. `moments` are in their order; all times are timestamps."""
    if not moments:
        return None
    ends = [one.to for one in moments if one.to is not None]
    instants = sorted({*(one.at for one in moments), *ends, *([deleted_at] if deleted_at else [])}, key=_time)
    axis = _axis(instants)
    jobs = {one.id: one for one in moments if one.what == "job"}
    attempts = [one for one in moments if one.what == "attempt"]
    shown = list(dict.fromkeys([*jobs, *(_job_of(one) for one in attempts)]))
    lanes = [
        _statuses([one for one in moments if one.what == "status"], axis, deleted_at),
        *(_job(jobs.get(id_), _attempts_of(id_, attempts), axis) for id_ in shown[:JOBS_MAX]),
        _objects([one for one in moments if one.what == "object"], axis),
    ]
    tail_words = _words(f"{lasting(since(instants[-1], now))} so far", TAIL)
    return Picture(
        lanes=[lane for lane in lanes if lane.bars or lane.dots],
        stretches=list(_stretches(instants, axis, APART)),
        few=list(_stretches(instants, axis, APART_NARROW)),
        tail=Stretch(100 - TAIL, TAIL, tail_words),
        begins=instants[0],
        left_out=max(0, len(shown) - JOBS_MAX),
    )


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _axis(instants: Sequence[str]) -> dict[str, float]:
    """Where each of the ordered instants is."""
    steps = [0.0]
    for before, after in pairwise(instants):
        steps.append(steps[-1] + log2(1 + (since(before, after) or 0) / UNIT_MS))
    scale = (100 - TAIL) / steps[-1] if steps[-1] else 0
    return {at: round(step * scale, 3) for at, step in zip(instants, steps, strict=True)}


def _stretches(instants: Sequence[str], axis: Mapping[str, float], apart: float) -> Iterable[Stretch]:
    """Between lines that are that far `apart`, so that not each of a hundred moments has one. The first and the last have."""
    lines = [instants[0]]
    for at in instants[1:]:
        if axis[at] - axis[lines[-1]] >= apart:
            lines.append(at)
    if len(lines) > 1:
        lines[-1] = instants[-1]
    for begins, ends in pairwise(lines):
        width = axis[ends] - axis[begins]
        yield Stretch(axis[begins], width, _words(lasting(since(begins, ends)), width))


def _statuses(changes: Sequence[MomentDocument], axis: Mapping[str, float], deleted_at: str | None) -> Lane:
    lane = Lane("Status")
    for one in changes:
        to = deleted_at if one.to is None else one.to
        says = f"{one.name} ({one.state}){_for(since(one.at, to) if to else None)}"
        lane.bars.append(_bar(axis, one.at, to, one.name, says, one.name))
    if deleted_at is not None:
        lane.bars.append(_bar(axis, deleted_at, None, "deleted", "deleted", "deleted"))
    return lane


def _job(job: MomentDocument | None, attempts: Sequence[MomentDocument], axis: Mapping[str, float]) -> Lane:
    lane = Lane((job or attempts[0]).name, job.state if job else "")
    if job is not None:
        says = f"{job.name}, {job.state}{_for(job.duration_ms)}"
        lane.bars.append(_bar(axis, job.at, job.to, "job", says, thin=True))
    for one in attempts:
        number = one.id.rpartition("/")[2]
        says = f"attempt {number}: {one.state}{_for(one.duration_ms)}"
        lane.bars.append(_bar(axis, one.at, one.to, one.state, says, number))
    return lane


def _objects(objects: Sequence[MomentDocument], axis: Mapping[str, float]) -> Lane:
    lane = Lane("Objects")
    for at, group in groupby(objects, lambda one: one.at):
        found = list(group)
        states = {one.state for one in found}
        says = ", ".join(f"{one.name}: {one.state}" for one in found)
        look = states.pop() if len(states) == 1 else "mixed"
        lane.dots.append(Dot(axis[at], look, says, len(found)))
    return lane


def _bar(
    axis: Mapping[str, float],
    at: str,
    to: str | None,
    look: str,
    says: str,
    text: str = "",
    *,
    thin: bool = False,
) -> Bar:
    width = max((100.0 if to is None else axis[to]) - axis[at], NARROWEST)
    look = look if to is not None else f"{look} goes-on"
    return Bar(axis[at], round(width, 3), look, says, _words(text, width) if text else None, thin)


def _words(text: str, width: float) -> Words | None:
    needed = len(text) * CHAR_PX + AROUND_PX
    if needed <= width / 100 * NARROW_PX:
        return Words(text, "always")
    return Words(text, "roomy") if needed <= width / 100 * WIDE_PX else None


def _attempts_of(job_id: str, attempts: Sequence[MomentDocument]) -> Sequence[MomentDocument]:
    return [one for one in attempts if _job_of(one) == job_id]


def _job_of(attempt: MomentDocument) -> str:
    return attempt.id.rpartition("/")[0]


def _for(ms: float | None) -> str:
    return ", goes on" if ms is None else f", {lasting(ms)}"
