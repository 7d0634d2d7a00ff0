"""Every recording at hand, swept: those of the project, and all in the folder that TAPEDECK_CORPUS names.

A file is an array of events, or lines of which those that are arrays are batches; the import command reads the rest.
"""

import gzip
import json
import os
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from replay.plan import Claims, plan
from tests.replay.recordings import MIB, Stored, decoded, payload, sidecar, stored
from tests.replay.test_cut import cut_events

FIXTURES = Path(__file__).parents[1] / "fixtures" / "recordings"
ENVELOPE = b'{"started_at":"2026-05-04T10:00:00Z","events":%b}'


@cache
def batches(file: Path) -> list[bytes]:
    text = (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).strip()
    if file.suffix == ".ndjson":
        return [line for line in text.splitlines() if line.startswith(b"[")]
    return [text] if text.startswith(b"[") else []


def files() -> list[Path]:
    folders = [FIXTURES, *map(Path, filter(None, [os.environ.get("TAPEDECK_CORPUS")]))]
    found = (file for folder in folders for file in folder.rglob("*"))
    return sorted(
        file for file in found if file.name.endswith((".json", ".json.gz", ".ndjson")) and batches(file)
    )


@pytest.fixture(scope="module", params=files(), ids=lambda file: file.name)
def recording(request: pytest.FixtureRequest) -> tuple[Stored, list[Any]]:
    """What is stored of a file, and the events as they were sent."""
    sent = batches(request.param)
    done = plan((payload(ENVELOPE % batch, 65_536) for batch in sent), Claims(), max_bytes=512 * MIB)
    return stored(done), [event for batch in sent for event in json.loads(batch)]


def test_everything_is_kept_in_order(recording: tuple[Stored, list[Any]]) -> None:
    done, sent = recording
    kept = json.loads(decoded(done.frame))
    account = done.plan.account
    assert (account.received, account.stored, account.rejected) == (
        len(sent),
        len(sent) - account.duplicate,
        0,
    )
    assert sidecar(done.plan)["rejected"] == []
    assert account.bytes == sum(done.plan.summary.bytes_by_type.values())
    times = [event["timestamp"] for event in kept]
    assert times == sorted(times)
    assert done.plan.playable == any(
        event["type"] == 2 and any(before["type"] == 4 for before in kept[:i]) for i, event in enumerate(kept)
    )


def test_what_need_not_change_is_kept_as_it_was_sent(recording: tuple[Stored, list[Any]]) -> None:
    done, sent = recording
    kept = [json.dumps(event, sort_keys=True) for event in json.loads(decoded(done.frame))]
    in_ms = [event for event in sent if not isinstance(event, str) and event["timestamp"] > 1e11]
    plain = {json.dumps(event, sort_keys=True) for event in in_ms if "cv" not in event}
    assert plain <= set(kept)


def test_every_packed_event_is_unpacked(recording: tuple[Stored, list[Any]]) -> None:
    done, _ = recording
    for event in json.loads(decoded(done.frame)):
        assert isinstance(event, dict)
        if event["type"] == 2:
            assert isinstance(event["data"], dict)
        elif event["type"] == 3 and event["data"]["source"] == 0:
            lists = (event["data"].get(name, []) for name in ("texts", "attributes", "removes", "adds"))
            assert all(isinstance(each, list) for each in lists)


def test_cuts_of_it_join_to_the_whole(recording: tuple[Stored, list[Any]]) -> None:
    done, _ = recording
    bounds = [None, *(done.plan.duration_ms * share for share in (0.1, 0.3, 0.35, 0.9)), None]
    pieces = [cut_events(done, low, high) for low, high in pairwise(bounds)]
    assert [event for piece in pieces for event in piece] == json.loads(decoded(done.frame))
