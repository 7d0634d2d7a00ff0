"""Rows of events that are deep or large: no recursion, and no more memory than one event asks for."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from replay.relations import decompose, recompose
from replay.relations.nodes import SerializedNode
from tests.replay.recordings import LARGE_NODES, MIB, large_snapshot
from tests.replay.rows import same, there_and_back

DEPTH = 20_000
SNAPSHOT = b'{"type":2,"data":{"node":%b,"initialOffset":{"left":0,"top":0}},"timestamp":1795290301968}'
CUSTOM = b'{"type":5,"data":{"tag":"deep","payload":%b},"timestamp":1795290301968}'
DIV = b'{"type":2,"tagName":"div","id":1,"attributes":{},"childNodes":['


def nested(begin: bytes, end: bytes) -> bytes:
    return begin * DEPTH + end * DEPTH


DEEP = {
    "document": SNAPSHOT % nested(DIV, b"]}"),
    "payload": CUSTOM % nested(b"[", b"]"),
    "payload of objects": CUSTOM % (b'{"a":' * DEPTH + b"1e999" + b"}" * DEPTH),
    "unknown member": b'{"type":3,"more":%b,"data":{"source":3},"timestamp":1}' % nested(b"[", b"]"),
    "unknown type": b'{"type":99,"data":%b,"timestamp":1}' % nested(b"[[],", b"]").replace(b",]", b"]"),
    "attribute": SNAPSHOT % (b'{"type":2,"attributes":{"a":%b},"childNodes":[]}' % nested(b"[", b"]")),
    "children that are no nodes": SNAPSHOT % nested(b'{"type":2,"childNodes":[0,', b"0]}"),
    "added nodes": b'{"type":3,"data":{"source":0,"adds":[{"node":%b}]},"timestamp":1}' % nested(DIV, b"]}"),
}


@pytest.mark.parametrize("name", DEEP)
def test_depth_has_no_limit(name: str) -> None:
    event = DEEP[name]
    assert same(there_and_back(event), event)


def test_a_deep_document_is_rows_all_the_way_down() -> None:
    rows = list(decompose(0, DEEP["document"]))
    assert sum(isinstance(row, SerializedNode) for row in rows) == DEPTH
    assert not any(getattr(row, "rest", None) for row in rows)


def test_a_large_snapshot_comes_back() -> None:
    event = large_snapshot()
    assert json.loads(recompose(decompose(0, event))) == json.loads(event)


@pytest.mark.parametrize("text", ["cell 7", "odd\\u0000"])
def test_the_rows_of_a_large_snapshot_take_bounded_memory(text: str) -> None:
    """Read by either reader: about as much as the decoded event takes, however many rows it is."""
    grown = subprocess.run(
        [sys.executable, __file__, text],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    assert int(grown) < 250 * MIB


def _main(text: str) -> None:
    """Print by how many bytes this process grew while it made the rows, which nobody keeps."""
    event = large_snapshot().replace(b"cell 7", text.encode(), 1)
    before = _peak()
    rows = sum(1 for _ in decompose(0, event))
    assert rows > 2 * LARGE_NODES
    print(_peak() - before)  # noqa: T201


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    _main(sys.argv[1])
