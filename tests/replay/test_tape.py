"""The tape's format: its vectors, its parts at every level, its index, and reading a bucket alone."""

import io
import json
import random
from array import array

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from replay import tape
from replay.index import BadIndex, Index
from tests.replay.recordings import META, SCROLL, SNAPSHOT, Stored, decoded, planned, stored

NO_EVENTS, TWO_PARTS = (
    bytes.fromhex("28b52ffd0068 0800005b 0900005d"),
    bytes.fromhex(
        "28b52ffd0068 0800005b 3800007b2261223a317d"
        "a40000402c09200a09200d0d0400ef163b822bc6085c16 3800007b2262223a327d 0900005d"
    ),
)  # fmt: skip
NOTHING = tape.Recorded(array("Q"), array("d"), b"", lambda start, end: [])
TEXTS = st.text('ab{}",:0 ', max_size=40).map(lambda text: json.dumps(text).encode())


def spliced(parts: list[bytes], levels: list[int]) -> bytes:
    blocks = [tape.pack_part(part, level=level) for part, level in zip(parts, levels, strict=True)]
    return tape.PREFIX + tape.RESET.join(blocks) + tape.SUFFIX


def decoders(frame: bytes) -> list[bytes]:
    """What every decoder at hand in Python makes of it."""
    streaming = zstandard.ZstdDecompressor().decompressobj()
    pieces = [streaming.decompress(frame[at : at + 7]) for at in range(0, len(frame), 7)]
    assert streaming.eof
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(frame)) as reader:
        read = reader.read()
    return [
        decoded(frame),
        b"".join(pieces),
        read,
        b"".join(zstandard.ZstdDecompressor().read_to_iter(frame)),
    ]


def test_the_vectors_of_the_specification() -> None:
    written = "".join(str(tape.__doc__).split())
    for vector in (NO_EVENTS, TWO_PARTS):
        assert vector.hex() in written
    assert decoded(NO_EVENTS) == b"[]"
    assert decoded(TWO_PARTS) == b'[{"a":1}' + tape.SEPARATOR + b'{"b":2}]'
    assert tape.PREFIX + tape.SUFFIX == NO_EVENTS
    assert bytes.fromhex("a40000402c09200a09200d0d0400ef163b822bc6085c16") == tape.RESET


def test_what_reset_decodes_to_is_a_comma_and_white_space() -> None:
    assert json.loads(b"[1" + tape.SEPARATOR + b"2]") == [1, 2]


def test_a_tape_without_events_is_an_empty_array() -> None:
    written = b"".join(tape.write(NOTHING, level=3))
    index = tape.read_index(written)
    assert written[: index.frame_bytes] == NO_EVENTS
    assert (index.events, index.first_time, index.last_time) == (0, 0.0, 0.0)


@given(st.lists(st.tuples(TEXTS, st.integers(1, 19)), min_size=1, max_size=8))
def test_parts_of_any_levels_can_be_spliced(parts: list[tuple[bytes, int]]) -> None:
    texts = [text for text, _ in parts]
    expected = b"[" + tape.SEPARATOR.join(texts) + b"]"
    assert decoders(spliced(texts, [level for _, level in parts])) == [expected] * 4


@pytest.mark.parametrize("level", [1, 2, 3, 6, 12, 16, 19])
def test_parts_that_repeat_offsets_at_once_can_be_spliced(level: int) -> None:
    """Runs and short periods make first sequences use the initial repeat offsets 1, 4 and 8."""
    dice = random.Random(level)
    texts = []
    for _ in range(40):
        period = bytes(dice.choices(b"abcdefgh", k=dice.choice([1, 4, 8, 3, 5, 200])))
        texts.append(
            b'"' + (period * 400)[: dice.randrange(1, 900)] + dice.randbytes(9).hex().encode() + b'"'
        )
    expected = b"[" + tape.SEPARATOR.join(texts) + b"]"
    assert decoders(spliced(texts, [dice.choice([1, 3, level]) for _ in texts])) == [expected] * 4


@pytest.mark.parametrize("size", [1, 127 << 10, 128 << 10, (128 << 10) + 1, 256 << 10, 5 << 20])
@pytest.mark.parametrize("unit", [b"a", bytes(range(32, 127))])
def test_parts_of_any_size_can_be_spliced(size: int, unit: bytes) -> None:
    text = (unit * (size // len(unit) + 1))[:size]
    assert decoded(spliced([text, text], [3, 3])) == b"[" + text + tape.SEPARATOR + text + b"]"


@pytest.mark.parametrize("level", [0, 20, -1])
def test_levels_whose_window_a_browser_may_refuse_are_refused(level: int) -> None:
    with pytest.raises(ValueError, match="level"):
        next(tape.write(NOTHING, level=level))


@pytest.fixture(scope="module")
def long() -> Stored:
    """Three parts: small events, one larger than a part, small events again."""
    small = [SCROLL % (i, i) for i in range(1000)]
    huge = b'{"type":5,"timestamp":2000,"data":"%b"}' % (b"x" * (5 << 20))
    later = [
        META % 3000,
        SNAPSHOT % 3001,
        *(SCROLL % (i, 3001 + i) for i in range(1000)),
        META % 9000,
        SNAPSHOT % 9000,
    ]
    return stored(planned([*small, huge, *later]))


def test_an_event_larger_than_a_part_is_a_part_of_its_own(long: Stored) -> None:
    assert [part.events for part in long.index.parts] == [1000, 1, 1004]
    assert json.loads(decoded(long.frame))[1000]["data"] == "x" * (5 << 20)


def test_the_index_describes_each_part(long: Stored) -> None:
    for part in long.index.parts:
        blocks = long.object[part.offset : part.end]
        assert tape.crc32c(blocks) == part.crc32c
        array = tape.read_part(blocks, part.json_bytes)
        assert len(array) == part.json_bytes + 2
        times = [event["timestamp"] for event in json.loads(array)]
        assert (len(times), times[0], times[-1]) == (part.events, part.first_time, part.last_time)


def test_the_index_notes_where_a_playable_read_may_start(long: Stored) -> None:
    assert [tuple(snapshot) for snapshot in long.index.snapshots] == [(3001.0, 2, 0), (9000.0, 2, 1002)]


def test_the_index_can_be_read_back_from_the_object_alone(long: Stored) -> None:
    needed = tape.index_tail_bytes(long.object[-tape.FOOTER_BYTES :])
    assert tape.read_index(long.object[-needed:]) == long.index
    assert Index.decode(long.index.encode()) == long.index


def test_the_whole_object_is_zstd_too(long: Stored) -> None:
    """The index stands in a skippable frame, so that `zstd -d` of an object from the bucket gives the array."""
    with zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(long.object), read_across_frames=True
    ) as reader:
        assert reader.read() == decoded(long.frame)


@pytest.mark.parametrize("tail", [b"", b"TAPEDECK", b"\0" * 16, b"\0" * 8 + b"TAPEDECK"])
def test_what_is_no_tape_is_refused(tail: bytes) -> None:
    with pytest.raises(BadIndex):
        tape.read_index(tail)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"version":2,"frame_bytes":0,"parts":[],"snapshots":[]}']
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(BadIndex):
        Index.decode(data)
