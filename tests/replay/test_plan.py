"""What planning promises of any recording: the account adds up, order is stable, bytes survive, duplicates are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.plan import BadRecording, Claims, plan
from tests.replay.recordings import (
    META,
    MIB,
    SCROLL,
    SNAPSHOT,
    START_MS,
    TOO_DEEP,
    decoded,
    envelope,
    events,
    payload,
    planned,
    planned_batches,
    recordings,
    sidecar,
    sidecar_json,
    stored,
    time_of,
    values,
    warnings,
)

DEFECTIVE = [
    (b'{"timestamp":1,"data":{}}', "missing_type"),
    (b'{"type":null,"timestamp":1}', "missing_type"),
    (b'{"type":"3","timestamp":1}', "bad_type"),
    (b'{"type":-1,"timestamp":1}', "bad_type"),
    (b'{"type":1.5,"timestamp":1}', "bad_type"),
    (b'{"type":true,"timestamp":1}', "bad_type"),
    (b'{"type":1e999,"timestamp":1}', "bad_type"),
    (b'{"type":0}', "missing_timestamp"),
    (b'{"type":0,"timestamp":null}', "missing_timestamp"),
    (b'{"type":0,"timestamp":"1795290301968"}', "bad_timestamp"),
    (b'{"type":0,"timestamp":1e999}', "bad_timestamp"),
    (b'{"type":0,"timestamp":' + b"9" * 4000 + b"}", "bad_timestamp"),
    (b'{"type":0,"timestamp":99999999999999999999}', "bad_timestamp"),
    (b'{"type":2,"timestamp":1}', "missing_data"),
    (b'{"type":4,"timestamp":1,"data":null}', "missing_data"),
    (b'{"type":3,"timestamp":1,"data":[]}', "bad_data"),
    (b'{"type":2,"timestamp":1,"data":"x"}', "bad_data"),
    (b'{"type":3,"timestamp":1,"data":{}}', "missing_source"),
    (b'{"type":3,"timestamp":1,"data":{"source":"0"}}', "bad_source"),
    (b'{"type":3,"timestamp":1,"data":{"source":-1}}', "bad_source"),
    (b'{"\\ud83d":"\\ud83d","type":3,"timestamp":1,"data":{"source":{"\\ud83d":1}}}', "bad_source"),
    (b"{}", "missing_type"),
    (b'"neither packed nor JSON"', "bad_pack"),
    (b'"\\ud83d"', "bad_pack"),
]


@given(recordings)
def test_the_tape_holds_every_event_byte_for_byte_in_stable_order(recording: list[bytes]) -> None:
    done = stored(planned(recording))
    ordered = sorted(recording, key=time_of)
    assert decoded(done.frame) == b"[" + b",".join(ordered) + b"]"
    assert done.index.events == len(recording)


@given(recordings)
def test_planning_twice_gives_the_same_bytes(recording: list[bytes]) -> None:
    assert stored(planned(recording)).object == stored(planned(recording)).object


@given(
    st.lists(
        st.lists(st.one_of(events(), st.sampled_from(DEFECTIVE).map(lambda d: d[0])), min_size=1), min_size=1
    )
)
def test_the_account_always_adds_up(batches: list[list[bytes]]) -> None:
    try:
        done = planned_batches(*batches)
    except BadRecording:
        return  # no valid event among them
    account = done.account
    assert account.received == sum(map(len, batches))
    assert account.received == account.stored + account.duplicate + account.rejected
    kept = json.loads(decoded(stored(done).frame))
    assert len(kept) == account.stored == done.event_count
    assert len(sidecar(done)["rejected"]) == account.rejected
    assert account.bytes == sum(done.summary.bytes_by_type.values())
    assert account.bytes == len(decoded(stored(done).frame)) - account.stored - 1


@pytest.mark.parametrize(("event", "reason"), DEFECTIVE, ids=lambda value: str(value)[:40])
def test_a_defective_event_is_rejected_with_its_reason_and_kept(event: bytes, reason: str) -> None:
    done = planned([META % 1, event, b"{}", META % 2])
    assert (done.account.stored, done.account.rejected) == (2, 2)
    kept = sidecar_json(done)
    assert b'{"index":1,"reason":"%b","event":%b}' % (reason.encode(), event) in kept
    assert json.loads(kept)["rejected"][1] == {"index": 2, "reason": "missing_type", "event": {}}


@pytest.mark.parametrize(
    "event",
    [
        b'{"type":3.0,"timestamp":1795290301968,"data":{"source":0e1}}',
        b'{"type":3,"timestamp":1795290301968,"data":{"source":99,"type":1e999}}',
        b'{"type":5,"timestamp":1795290301968}',
        b'{"type":5,"timestamp":1795290301968,"data":null}',
        b'{"type":5,"timestamp":1795290301968,"data":[[[1e999]]]}',
        b'{"type":0,"timestamp":-1}',
        b'{"type":12345678901234567890123,"timestamp":0}',
        b'{"type":0,"type":1,"timestamp":"last wins","timestamp":1}',
        b'{"t\\u0079pe":0,"timestamp":1,"\\ud83d":"\\udead"}',
    ],
)
def test_an_unusual_but_valid_event_is_stored_as_it_is(event: bytes) -> None:
    done = stored(planned([event]))
    assert decoded(done.frame) == b"[" + event + b"]"


def test_a_deeply_nested_event_does_no_harm() -> None:
    deep = b'{"type":5,"timestamp":1,"data":' + b"[" * 500 + b"]" * 500 + b"}"
    assert decoded(stored(planned([deep])).frame) == b"[" + deep + b"]"


def test_floats_order_by_their_full_value() -> None:
    late, early = (b'{"type":0,"timestamp":1795290301968.%d}' % part for part in (75, 25))
    assert decoded(stored(planned([late, early])).frame) == b"[" + early + b"," + late + b"]"


def test_identical_events_of_one_batch_are_all_kept() -> None:
    assert planned([META % 1] * 3).account.stored == 3


def test_a_duplicate_is_what_a_previous_batch_brought() -> None:
    first, second = SCROLL % (1, START_MS), SCROLL % (2, START_MS)
    done = planned_batches([first, first], [first, second], [second, b"{}"], [b"{}", b'{"type":0}'])
    assert msgspec_account(done.account) == (8, 3, 3, 2)


def test_without_any_valid_event_there_is_no_recording() -> None:
    with pytest.raises(BadRecording) as caught:
        planned([b"{}"])
    assert caught.value.code == "no_valid_events"


def test_a_video_without_events_has_an_empty_tape_and_the_clients_figures() -> None:
    claims = Claims(event_count=0, duration_ms=150_000, video=True)
    navigations = [{"url": "https://a.example/", "timestamp_ms": 5}]
    done = stored(planned([], claims, has_video=True, navigations=navigations))
    assert decoded(done.frame) == b"[]"
    assert (done.plan.playable, done.plan.duration_ms, done.plan.warnings) == (False, 150_000, [])
    assert done.plan.navigations[0].url == "https://a.example/"


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([], "too early"),
        ([b""], "too early"),
        ([b"no zstd at all"], "cannot be decompressed"),
        ([next(payload(envelope([META % 1])))[:-1]], "too early"),
        (list(payload(b'{"started_at":3}')), "started_at"),
        (list(payload(b"{")), "ends too early"),
        (list(payload(envelope([TOO_DEEP]))), "nested too deeply"),
        (list(payload(envelope([META % 1, b"5"]))), "an event is not readable"),
        (list(payload(envelope([META % 1], filler="x" * 2000))), "more than is allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unreadable_payload_is_a_bad_recording(chunks: list[bytes], says: str) -> None:
    with pytest.raises(BadRecording, match=says) as caught:
        plan([chunks], Claims(), max_bytes=3 * MIB if "deeply" in says else 1000)
    assert caught.value.code == "payload_unreadable"


def test_a_batch_may_be_several_zstd_frames() -> None:
    body = envelope([META % 1])
    done = plan([[*payload(body[:50]), *payload(body[50:])]], Claims(), max_bytes=1000)
    assert done.account.stored == 1


def test_the_index_is_known_only_after_the_tape() -> None:
    with pytest.raises(RuntimeError):
        _ = planned([META % 1]).index


@given(st.lists(values, min_size=1))
def test_logs_survive_byte_for_byte(logs: list[bytes]) -> None:
    console = [b'{"level":"log","args":[%b]}' % value for value in logs]
    network = [b'{"body":%b}' % value for value in logs]
    info = b'{"browser":%b}' % logs[0]
    done = planned(
        [META % 1],
        console_logs=b"[" + b", ".join(console) + b"]",
        network_logs=b"[" + b" ,".join(network) + b"]",
        client_info=info,
    )
    assert sidecar_json(done) == (
        b'{"console":[' + b",".join(console) + b'],"network":[' + b",".join(network)
        + b'],"client_info":' + info + b',"rejected":[]}'
    )  # fmt: skip


def test_logs_of_all_batches_are_joined() -> None:
    bodies = [
        envelope([META % i], console_logs=[{"level": "log", "n": i}], client_info={"n": i}) for i in (1, 2)
    ]
    done = plan(map(payload, bodies), Claims(), max_bytes=10_000)
    assert sidecar(done) == {
        "console": [{"level": "log", "n": 1}, {"level": "log", "n": 2}],
        "network": [],
        "client_info": {"n": 2},
        "rejected": [],
    }


@pytest.mark.parametrize(
    ("recording", "playable"),
    [
        ([META % 1, SNAPSHOT % 2], True),
        ([META % 1, SNAPSHOT % 1], True),
        ([SNAPSHOT % 1, META % 1], False),
        ([SNAPSHOT % 2, META % 1], True),
        ([META % 1], False),
        ([SNAPSHOT % 1], False),
        ([SNAPSHOT % 1, META % 2, SNAPSHOT % 3], True),
    ],
)
def test_a_recording_plays_when_a_meta_stands_before_a_full_snapshot(
    recording: list[bytes], playable: bool
) -> None:
    assert planned(recording).playable is playable


def msgspec_account(account: object) -> tuple[int, ...]:
    return tuple(getattr(account, name) for name in ("received", "stored", "duplicate", "rejected"))


def test_warnings_of_a_good_recording_are_none() -> None:
    assert warnings(planned([META % START_MS, SNAPSHOT % START_MS])) == {}
