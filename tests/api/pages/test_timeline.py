"""The picture of a life: what is drawn where, whether it lasted three seconds or thirty days."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.documents import timestamp
from app.ops_documents import MomentDocument
from app.pages.timeline import JOBS_MAX, NARROWEST, TAIL, Picture, picture

BEGIN = datetime(2026, 5, 4, 10, tzinfo=UTC)
DAY_S = 86_400.0


def at(seconds: float) -> str:
    return timestamp(BEGIN + timedelta(seconds=seconds))


def moment(what: str, begin: float, end: float | None, name: str = "process", **given: str) -> MomentDocument:
    ms = None if end is None else round((end - begin) * 1000)
    fields = {"id": "", "state": "done"} | given
    return MomentDocument(
        at=at(begin),
        to=None if end is None else at(end),
        duration_ms=ms,
        what=what,
        name=name,
        detail=None,
        **fields,
    )


def drawn(*moments: MomentDocument, now: float = 1e7, deleted_at: str | None = None) -> Picture:
    found = picture(
        sorted(moments, key=lambda one: datetime.fromisoformat(one.at)), at(now), deleted_at=deleted_at
    )
    assert found
    return found


def life(ends: float) -> Picture:
    """Waits a tenth of that, runs, is ready."""
    return drawn(
        moment("status", 0, ends / 10, "uploading", state="accepted"),
        moment("job", 0, ends, id="J"),
        moment("attempt", ends / 10, ends, id="J/1"),
        moment("status", ends / 10, ends, "processing", state="claimed"),
        moment("status", ends, None, "ready"),
    )


def test_three_seconds_and_thirty_days_are_both_readable() -> None:
    for ends in (0.3, 3, 3600, 30 * DAY_S):
        status, job = life(ends).lanes
        assert [bar.look.split()[0] for bar in status.bars] == ["uploading", "processing", "ready"]
        assert all(bar.width > 10 and bar.words for bar in status.bars)
        assert job.bars[1].words


def test_each_stretch_says_how_long_it_was() -> None:
    assert [one.words and one.words.text for one in life(30 * DAY_S).stretches] == [
        "3.0\u2009d",
        "27.0\u2009d",
    ]
    assert life(3).tail.words


def test_a_hundred_moments_do_not_make_a_hundred_lines() -> None:
    attempts = [moment("attempt", n * 60, n * 60 + 1, id=f"J/{n}", state="fault") for n in range(100)]
    found = drawn(moment("job", 0, None, id="J", state="due"), *attempts)
    assert len(found.stretches) <= 100 / 5
    assert len(found.few) <= 100 / 18
    assert len(found.lanes[0].bars) == 101


def test_what_was_deleted_is_so_from_then_on() -> None:
    found = drawn(moment("status", 0, None, "ready"), deleted_at=at(60))
    ready, deleted = found.lanes[0].bars
    assert (ready.look, deleted.look) == ("ready", "deleted goes-on")
    assert ready.left + ready.width == deleted.left == 100 - TAIL


def test_objects_of_one_moment_are_one_dot() -> None:
    objects = [moment("object", 1, None, name, state="live") for name in ("tapes", "sidecars")]
    (dot,) = drawn(moment("status", 0, None, "ready"), *objects).lanes[1].dots
    assert (dot.count, dot.says) == (2, "tapes: live, sidecars: live")


def test_attempts_whose_job_was_left_out_have_a_lane() -> None:
    (lane,) = drawn(moment("attempt", 0, 1, id="J/7", state="fault")).lanes
    assert lane.bars[0].says == "attempt 7: fault, 1.0\u2009s"


def test_a_crowd_of_jobs_is_cut_and_said() -> None:
    found = drawn(*(moment("job", n, n + 1, id=f"J{n}") for n in range(JOBS_MAX + 3)))
    assert (len(found.lanes), found.left_out) == (JOBS_MAX, 3)


def test_of_nothing_there_is_no_picture() -> None:
    assert picture([], at(0)) is None


spans = st.lists(
    st.tuples(st.floats(0, 100 * DAY_S), st.none() | st.floats(0, 100 * DAY_S)), min_size=1, max_size=30
)


@given(spans)
def test_all_is_within_and_in_its_order(given_: list[tuple[float, float | None]]) -> None:
    moments = [
        moment("job", begin, None if length is None else begin + length, id=f"J{n}")
        for n, (begin, length) in enumerate(given_)
    ]
    found = drawn(*moments, now=300 * DAY_S)
    bars = [lane.bars[0] for lane in found.lanes]
    lefts = [bar.left for bar in bars]
    assert lefts == sorted(lefts)
    assert all(0 <= bar.left <= 100 - TAIL and bar.width >= NARROWEST for bar in bars)
    assert all(bar.left + bar.width <= 100.001 for bar in bars)
    for stretches in (found.stretches, found.few):
        ends = [(one.left, one.left + one.width) for one in stretches]
        assert all(abs(before[1] - after[0]) < 1e-6 for before, after in itertools.pairwise(ends))
