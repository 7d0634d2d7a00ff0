"""Every recording at hand, swept: those of the project, and all in the folder that TAPEDECK_CORPUS names."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replay.plan import Plan
from tests.replay.recordings import decoded, envelope, planned, planned_batches, sidecar, stored, time_of
from tests.replay.test_cut import cut_events

FIXTURES = Path(__file__).parents[1] / "fixtures" / "recordings"
BATCHES = ("$snapshot_data", "snapshots", "data")


def files() -> list[Path]:
    folders = [FIXTURES, *(Path(folder) for folder in [os.environ.get("TAPEDECK_CORPUS", "")] if folder)]
    return sorted(
        file for folder in folders for file in folder.rglob("*") if file.name.endswith((".json", ".json.gz"))
    )  # fmt: skip


def array(file: Path) -> tuple[bytes, list[Any]]:
    """The file's text and its events; other shapes than a bare array are the import command's to read."""
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    parsed = json.loads(text)
    if not isinstance(parsed, list):
        pytest.skip("no bare array")
    return text, parsed


@pytest.fixture(params=files(), ids=lambda file: file.name)
def recording(request: pytest.FixtureRequest) -> tuple[Plan, list[Any]]:
    text, parsed = array(request.param)
    body = envelope([]).replace(b"[]", text.strip())
    return planned_body(body), parsed


def planned_body(body: bytes) -> Plan:
    from replay.plan import Claims, plan
    from tests.replay.recordings import payload

    return plan([payload(body, 65_536)], Claims(), max_bytes=1 << 29)


def same(kept: Any, sent: Any) -> bool:
    """Equal, but for what unpacking and scaling change."""
    if isinstance(sent, str) or "cv" in sent:
        return isinstance(kept["data"], dict)
    return {**kept, "timestamp": 0} == {**sent, "timestamp": 0} and kept["timestamp"] in (
        sent["timestamp"],
        pytest.approx(sent["timestamp"] * 1000, abs=1e-3),
    )


def test_everything_is_kept_in_order(recording: tuple[Plan, list[Any]]) -> None:
    plan, sent = recording
    done = stored(plan)
    kept = json.loads(decoded(done.frame))
    account = plan.account
    assert account.received == len(sent)
    assert (account.stored, account.duplicate, account.rejected) == (len(sent), 0, 0)
    assert sidecar(plan)["rejected"] == []
    times = [event["timestamp"] for event in kept]
    assert times == sorted(times)
    packed = any(isinstance(event, str) for event in sent)
    if not packed and times == [event["timestamp"] for event in sent]:
        assert all(map(same, kept, sent))
    assert plan.playable == any(
        event["type"] == 2 and any(before["type"] == 4 for before in kept[:i]) for i, event in enumerate(kept)
    )
    assert account.bytes == sum(plan.summary.bytes_by_type.values())


def test_cuts_of_it_join_to_the_whole(recording: tuple[Plan, list[Any]]) -> None:
    plan, _ = recording
    done = stored(plan)
    bounds = [None, *(plan.duration_ms * share / 10 for share in (1, 3, 3.5, 9)), None]
    pieces = [cut_events(done, low, high) for low, high in zip(bounds, bounds[1:], strict=False)]
    assert sum(pieces, []) == json.loads(decoded(done.frame))
