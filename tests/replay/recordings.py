"""Recordings for these tests: raw JSON of every odd kind, and what planning makes of it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard
from hypothesis import strategies as st

from replay.index import Index
from replay.plan import Claims, Plan, plan

MIB = 1 << 20
START_MS = 1_795_290_301_968
TOO_DEEP = b"[" * 1_000_000 + b"]" * 1_000_000  # for any Python; 3.11 gives up before 1,000

META = b'{"type":4,"data":{"href":"https://app.example.com/login","width":1280,"height":720},"timestamp":%d}'
SNAPSHOT = b'{"type":2,"data":{"node":{"type":0,"childNodes":[],"id":1},"initialOffset":{"left":0,"top":0}},"timestamp":%d}'
SCROLL = b'{"type":3,"data":{"source":3,"id":1,"x":0,"y":%d},"timestamp":%d}'

LARGE_NODES = 280_000


@dataclass(frozen=True)
class Stored:
    """What a plan puts into storage, and its index."""

    plan: Plan
    object: bytes
    index: Index

    @property
    def frame(self) -> bytes:
        return self.object[: self.index.frame_bytes]


def envelope(events: Iterable[bytes], **members: Any) -> bytes:
    """The body of an upload; `members` as Python values, or bytes for raw JSON."""
    members = {"started_at": "2026-05-04T10:00:00Z", **members, "events": b"[" + b",".join(events) + b"]"}
    pairs = (
        json.dumps(name).encode() + b":" + (value if isinstance(value, bytes) else json.dumps(value).encode())
        for name, value in members.items()
    )
    return b"{" + b",".join(pairs) + b"}"


def payload(body: bytes, chunk_bytes: int = 1000) -> Iterator[bytes]:
    """The body as it is kept: compressed, in chunks that end anywhere."""
    stored = zstandard.ZstdCompressor().compress(body)
    return (stored[at : at + chunk_bytes] for at in range(0, len(stored), chunk_bytes))


def planned(events: Iterable[bytes], claims: Claims | None = None, **members: Any) -> Plan:
    """The plan for one batch."""
    return plan([payload(envelope(events, **members))], claims or Claims(), max_bytes=512 * MIB)


def planned_batches(*batches: Sequence[bytes]) -> Plan:
    return plan([payload(envelope(batch)) for batch in batches], Claims(), max_bytes=512 * MIB)


def stored(plan: Plan) -> Stored:
    written = b"".join(plan.tape())
    return Stored(plan, written, plan.index)


def decoded(frame: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(frame, max_output_size=256 * MIB)


def sidecar(plan: Plan) -> Any:
    return json.loads(sidecar_json(plan))


def sidecar_json(plan: Plan) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(plan.sidecar()))


def warnings(plan: Plan) -> dict[str, int]:
    return {warning.code: warning.count for warning in plan.warnings}


# Raw JSON, as texts: what re-dumping would change must be in here.
_spaces = st.sampled_from([b"", b"", b"", b" ", b"\n", b"\r\n\t"])
_numbers = st.sampled_from(
    [b"0", b"-0", b"1e-7", b"1e-07", b"1E+2", b"0.10", b"1.0", b"12345678901234567890123", b"1e999", b"-17.5"]
)
_pieces = st.sampled_from(
    [b"a", b"\\\\", b'\\"', b"\\/", b"\\u0000", b"\\ud83d", b"\\uDE00", b"\\ud83d\\ude00", b"\\\\ud83d", b"\\n", b"\x7f",
     "\u2028".encode(), "\N{PILE OF POO}".encode(), "é".encode(), b"[", b"}", b",", b":"]
)  # fmt: skip
strings = st.lists(_pieces, max_size=6).map(lambda pieces: b'"' + b"".join(pieces) + b'"')


def _array(items: list[bytes], space: bytes) -> bytes:
    return b"[" + space + (space + b"," + space).join(items) + space + b"]"


def raw_object(members: Sequence[tuple[bytes, bytes]], space: bytes = b"") -> bytes:
    pairs = (key + space + b":" + space + value for key, value in members)
    return b"{" + space + (space + b"," + space).join(pairs) + space + b"}"


values = st.recursive(
    st.one_of(_numbers, strings, st.sampled_from([b"true", b"false", b"null"])),
    lambda inner: st.one_of(
        st.builds(_array, st.lists(inner, max_size=3), _spaces),
        st.builds(raw_object, st.lists(st.tuples(strings, inner), max_size=3), _spaces),
    ),
    max_leaves=6,
)

times = st.one_of(
    st.integers(START_MS, START_MS + 40).map(lambda time: b"%d" % time),
    st.integers(START_MS, START_MS + 40).map(lambda time: b"%d.5" % time),
    st.sampled_from([b"1795290301968e0", b"1.795290301968E12", b"1795290301968.0"]),
)

_extra_keys = st.sampled_from(
    [b'"delay"', b'"_sid"', b'"windowId"', b'"x\\ud83d"', b'"\\u0000"', b'"__newrelic"']
)
_extras = st.lists(st.tuples(_extra_keys, values), max_size=2)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """A valid event, its members in any order, with white space anywhere."""
    kind = draw(st.integers(0, 9))
    data = [(b'"%d"' % i, value) for i, value in enumerate(draw(st.lists(values, max_size=2)))]
    if kind == 3:
        data.append((b'"source"', b"%d" % draw(st.integers(0, 18))))
    if kind == 4:
        data.append((b'"href"', draw(strings)))
    space = draw(_spaces)
    members = [(b'"type"', b"%d" % kind), (b'"timestamp"', draw(times)), (b'"data"', raw_object(data, space))]
    return raw_object(draw(st.permutations(members + draw(_extras))), space)


recordings = st.lists(events(), min_size=1, max_size=30)


def time_of(event: bytes) -> float:
    """An event's time by Python's own reader."""
    return float(json.loads(event)["timestamp"])


def large_snapshot() -> bytes:
    """A snapshot of LARGE_NODES nodes in 19 MB."""
    cell = (
        b'{"type":2,"tagName":"div","attributes":{"class":"cell c1","style":"left: %dpx"},"childNodes":['
        b'{"type":3,"textContent":"cell %d","id":2},{"type":2,"tagName":"b","attributes":{},"childNodes":['
        b'{"type":3,"textContent":"x%d","id":3}],"id":4}],"id":5}'
    )
    cells = b",".join(cell % (i, i, i) for i in range((LARGE_NODES - 2) // 4))
    html = b'{"type":2,"tagName":"html","attributes":{},"childNodes":[%b],"id":1}' % cells
    return (
        b'{"type":2,"data":{"node":{"type":0,"childNodes":[%b],"id":0},"initialOffset":{"left":0,"top":0}},"timestamp":%d}'
        % (html, START_MS)
    )
