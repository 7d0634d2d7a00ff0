"""Every event of every recording at hand as rows (`tests.replay.test_corpus` says which these are)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from replay import surrogates
from replay.events import read_head
from replay.plan import Claims, plan
from replay.relations import decompose
from replay.rrweb import KIND_NAMES
from tests.replay.recordings import MIB, decoded, payload, stored
from tests.replay.rows import exact, there_and_back
from tests.replay.test_corpus import ENVELOPE, batches, files

_slices = msgspec.json.Decoder(list[Raw])


def events(file: Path) -> Iterator[bytes]:
    done = plan((payload(ENVELOPE % batch, 65_536) for batch in batches(file)), Claims(), max_bytes=512 * MIB)
    yield from map(bytes, surrogates.decode(_slices, decoded(stored(done).frame)))


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_rows_give_a_recording_back(file: Path) -> None:
    for event in events(file):
        assert exact(there_and_back(event)) == exact(event)


def test_nearly_all_is_in_columns() -> None:
    whole, beside = Counter[str](), Counter[str]()
    for file in files():
        for event in events(file):
            kind = KIND_NAMES[read_head(event).kind]
            whole[kind] += len(event)
            beside[kind] += sum(len(getattr(row, "rest", None) or "") for row in decompose(0, event))
    share = {kind: beside[kind] / size for kind, size in sorted(whole.items()) if kind != "asset"}
    print({kind: f"{100 * each:.2f} %" for kind, each in share.items()})  # noqa: T201
    assert beside.total() < 0.01 * whole.total()
    assert max(share.values()) < 0.1
