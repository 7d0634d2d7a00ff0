"""Every event becomes rows that Postgres takes, and comes back from them exactly."""

from hypothesis import given
from hypothesis import strategies as st

from replay.relations import decompose, log_of, log_rows, recompose
from replay.relations.events import event_rows
from replay.relations.values import parse, parse_slowly
from tests.replay import recordings
from tests.replay.recordings import strings, values
from tests.replay.rows import exact, same, there_and_back, through_postgres
from tests.replay.rrweb_events import events, numbers


@given(events)
def test_rows_give_every_event_back(event: bytes) -> None:
    back = there_and_back(event)
    assert exact(back) == exact(event)
    assert same(back, event)


@given(recordings.events())
def test_rows_give_events_of_any_shape_back(event: bytes) -> None:
    assert exact(there_and_back(event)) == exact(event)


@given(events)
def test_however_an_event_is_read_its_rows_are_the_same(event: bytes) -> None:
    slowly = list(event_rows(0, parse_slowly(event)))
    assert list(decompose(0, event)) == slowly
    assert recompose(slowly) == recompose(decompose(0, event))


@given(st.one_of(values, numbers, strings))
def test_a_value_is_read_as_python_reads_it(text: bytes) -> None:
    dumped = recompose(decompose(0, b'{"type":9,"timestamp":0,"data":%b}' % text))
    assert exact(dumped)["data"] == exact(text)
    assert type(parse(text)) is type(parse_slowly(text))


@given(st.lists(values), st.lists(values))
def test_rows_give_logs_back_that_came_beside_the_events(console: list[bytes], network: list[bytes]) -> None:
    rows = list(log_rows(console, network))
    through_postgres(rows)
    assert [exact(log_of(row)) for row in rows] == [exact(log) for log in [*console, *network]]
