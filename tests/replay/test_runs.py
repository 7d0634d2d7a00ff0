"""Runs of neighbours, and work that is done ahead."""

import threading
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.ahead import ahead
from replay.runs import runs


@given(st.lists(st.integers(0, 12)), st.integers(0, 30))
def test_runs_are_all_neighbours_in_order_and_as_long_as_they_may_be(sizes: list[int], most: int) -> None:
    found = list(runs(array("Q", sizes), most))
    assert [place for start, end in found for place in range(start, end)] == list(range(len(sizes)))
    for start, end in found:
        assert end == start + 1 or sum(sizes[start:end]) + end - start - 1 <= most
        assert end == len(sizes) or sum(sizes[start : end + 1]) + end - start > most


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_results_come_in_order(count: int) -> None:
    assert list(ahead(lambda n: n * n, range(count), 3)) == [n * n for n in range(count)]


def test_no_more_is_begun_than_is_soon_taken() -> None:
    begun: list[int] = []
    results = ahead(begun.append, range(100), 2)
    next(results)
    assert len(begun) <= 3
    results.close()  # type: ignore[attr-defined]  # a generator
    assert len(begun) <= 3


def test_what_fails_fails_where_it_is_taken() -> None:
    results = ahead(lambda n: 1 // n, [1, 1, 0, 1], 2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_end_with_the_consumer() -> None:
    before = threading.active_count()
    list(ahead(abs, [1, 2, 3], 2))
    assert threading.active_count() == before
