"""What the benchmark of live sessions sends: batches that a deck takes, each of them another."""

import json

from benchmarks.ingest_batches import EVENTS, batch, session_name, template
from benchmarks.ingest_servers import NewBatch
from replay.envelope import decode_upload
from replay.live import decode_batch


def test_a_batch_is_what_an_sdk_sends() -> None:
    body = bytearray(batch(template(), session_name("test", 1), 0))
    sent = decode_batch(body)
    assert sent.batch.events == EVENTS
    assert sent.batch.session_id == session_name("test", 1)
    assert 35_000 < len(body) < 45_000
    decode_upload(bytearray(b"".join(sent.envelope)))


def test_no_two_batches_are_alike_but_for_their_length() -> None:
    sent = template()
    batches = {batch(sent, session_name("test", session), number) for session in (0, 1) for number in (0, 1)}
    assert len(batches) == 4
    assert {len(one) for one in batches} == {len(sent)}
    times = [{event["timestampMillis"] for event in json.loads(one)["events"]} for one in sorted(batches)]
    assert times[0].isdisjoint(times[1])


def test_the_usual_stack_takes_the_same_batches() -> None:
    assert len(NewBatch.model_validate_json(batch(template(), session_name("test", 0), 0)).events) == EVENTS
