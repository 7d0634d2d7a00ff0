"""What the benchmark of `process` feeds its contenders, and what it says when one of them is missing."""

import json
from pathlib import Path

import pytest
import zstandard

from benchmarks import process, process_input
from benchmarks.harness import Unavailable


def test_both_ends_are_given_the_same_upload(tmp_path: Path) -> None:
    upload = process_input.write(tmp_path, [], 200_000)
    sent = upload.json.read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(upload.payload.read_bytes()) == sent
    assert len(sent) == upload.bytes >= 200_000
    assert len(json.loads(sent)["events"]) == upload.events


async def test_without_node_its_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    async for comparison in process.comparisons((), (1,)):
        node = next(contender for contender in comparison.contenders if contender.name == "Node")
        with pytest.raises(Unavailable, match="no node"):
            await node.run()
