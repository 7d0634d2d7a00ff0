r"""The tape: a recording's events as one zstd frame (RFC 8878) that can be cut at marked places.

Specification, version 1
========================
An object is a *frame*, which is served as it is, then an *index frame*, which is not::

    object      = frame index-frame
    frame       = PREFIX [ part *( RESET part ) ] SUFFIX
    PREFIX      = 28 b5 2f fd 00 68  08 00 00 5b     header: no content size, no checksum, window 8 MiB; raw block "["
    SUFFIX      = 09 00 00 5d                        last raw block "]"
    RESET       = a4 00 00 40 2c 09 20 0a 09 20 0d 0d 04 00 ef 16 3b 82 2b c6 08 5c 16
    index-frame = 50 2a 4d 18  size  index  footer   a skippable frame; size (uint32 LE) = len(index) + 16
    footer      = len(index) version "TAPEDECK"      uint32 LE, uint32 LE, 8 bytes: the last 16 of the object

A **part** is the blocks of a zstd frame of its own (a fresh context; level at most 19, no long mode, so a window of at most
8 MiB) without that frame's header and with the last-block flag cleared. It decodes to one or more events, each as its raw
JSON, joined by commas: about `PART_BYTES`, or a single larger event.

A decoder carries three repeat offsets from block to block, and a part's first sequences may use the initial ones
(1, 4, 8). **RESET** stands between two parts and sets them: its literals are raw, its tables the predefined ones, its
four sequences have the offsets 1, 8, 4 (explicit) and the third repeat (then 1), so it takes nothing over and leaves
1, 4, 8. It decodes to a comma and JSON white space::

    ",\t \n\n\n\n\n\t\t \n\n\n\n\n\t\t \n \r \n \r \n " + "\r" * 12

So the frame decodes to one JSON array. A **cut** of parts i…j is PREFIX, the object's bytes from the start of part i to
the end of part j as they are, SUFFIX. **index** is `replay.index.Index` as JSON; `[` and `]` stand in the examples for raw
blocks.

Test vectors (hex)::

    no events      28b52ffd0068 0800005b 0900005d
    two parts of one event each, {"a":1} and {"b":2}, stored as raw blocks
                   28b52ffd0068 0800005b 3800007b2261223a317d
                   a40000402c09200a09200d0d0400ef163b822bc6085c16
                   3800007b2262223a327d 0900005d
"""

import re
import struct
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from io import BytesIO
from itertools import chain, repeat
from queue import SimpleQueue
from typing import NamedTuple

import google_crc32c
import zstandard
from msgspec import Raw

from replay.ahead import ahead
from replay.index import VERSION, BadIndex, Index, Part, Snapshot
from replay.rrweb import EventType
from replay.runs import runs

PART_BYTES = 4 << 20
LEVEL = 1  # of real recordings: with this window a tenth smaller than level 3, in two thirds of its time
LEVEL_MAX = 19
THREADS = 2  # that make parts

PREFIX = bytes.fromhex("28b52ffd0068 0800005b")
SUFFIX = bytes.fromhex("0900005d")
RESET = bytes.fromhex("a40000402c09200a09200d0d0400ef163b822bc6085c16")
SEPARATOR = b",\t \n\n\n\n\n\t\t \n\n\n\n\n\t\t \n \r \n \r \n " + b"\r" * 12  # what RESET decodes to
FOOTER_BYTES = 16

_WINDOW_MAX = 8 << 20
_WINDOW_LOG = 22  # 4 MiB
_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A50
_FOOTER = struct.Struct("<II8s")
_FOOTER_MAGIC = b"TAPEDECK"
_LAST_BLOCK, _RLE_BLOCK = 1, 1
_PLAYABLE_FROM = re.compile(b"[%c%c]" % (EventType.META, EventType.FULL_SNAPSHOT))


class Recorded(NamedTuple):
    """Events on their way to a tape, in playing order: columns, and a way to read the JSON of some neighbours."""

    sizes: "array[int]"  # bytes of their JSON
    times: "array[float]"  # ms
    kinds: bytes | bytearray  # `replay.rrweb`
    read: Callable[[int, int], Iterable[bytes | Raw]]  # of events `[start:end]`


def write(recorded: Recorded, *, level: int = LEVEL) -> Generator[bytes, None, Index]:
    """The object's bytes; returns the index. The JSON of no more than `THREADS` parts is held at a time."""
    if not 1 <= level <= LEVEL_MAX:
        raise ValueError(f"level {level} is not within 1 and {LEVEL_MAX}")
    bounds = list(runs(recorded.sizes, PART_BYTES))
    presses = SimpleQueue[_Press]()
    for _ in bounds[:THREADS]:
        presses.put(_Press(level))

    def pressed(bound: tuple[int, int]) -> bytes:
        press = presses.get()
        try:
            return press.part(recorded.read(*bound))
        finally:
            presses.put(press)

    parts: list[Part] = []
    at = len(PREFIX)
    yield PREFIX
    for (start, end), stored in zip(bounds, ahead(pressed, bounds, THREADS), strict=True):
        if parts:
            yield RESET
            at += len(RESET)
        json_bytes = sum(recorded.sizes[start:end]) + end - start - 1
        first, last = recorded.times[start], recorded.times[end - 1]
        parts.append(Part(at, len(stored), crc32c(stored), json_bytes, end - start, first, last))
        at += len(stored)
        yield stored
    yield SUFFIX
    index = Index(VERSION, at + len(SUFFIX), tuple(parts), tuple(_snapshots(recorded, parts)))
    yield index_frame(index)
    return index


def pack_part(json: bytes, *, level: int = LEVEL) -> bytes:
    """The stored bytes of a part that decodes to `json`."""
    return _blocks(_compressor(level).compress(json))


def read_part(stored: bytes, json_bytes: int) -> bytes:
    """A part's events as a JSON array. Raises zstandard.ZstdError."""
    frame = b"".join((PREFIX, stored, SUFFIX))
    return zstandard.ZstdDecompressor().decompress(frame, max_output_size=json_bytes + 2)


def crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def index_frame(index: Index) -> bytes:
    """The skippable frame that ends an object."""
    body = index.encode()
    return (
        _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(body) + FOOTER_BYTES)
        + body
        + _FOOTER.pack(len(body), index.version, _FOOTER_MAGIC)
    )


def index_tail_bytes(footer: bytes) -> int:
    """How many of the object's last bytes `read_index` needs, from its last `FOOTER_BYTES`. Raises BadIndex."""
    if len(footer) < FOOTER_BYTES:
        raise BadIndex("too short")
    length, version, magic = _FOOTER.unpack(footer[-FOOTER_BYTES:])
    if magic != _FOOTER_MAGIC:
        raise BadIndex("no tape ends here")
    if version != VERSION:
        raise BadIndex(f"version {version} is not known")
    return int(length) + FOOTER_BYTES


def read_index(tail: bytes) -> Index:
    """The index in an object's last bytes, without a database. Raises BadIndex."""
    needed = index_tail_bytes(tail)
    if len(tail) < needed:
        raise BadIndex("too short")
    return Index.decode(tail[-needed:-FOOTER_BYTES])


def _snapshots(recorded: Recorded, parts: Iterable[Part]) -> Iterator[Snapshot]:
    meta: tuple[int, int] | None = None
    start = 0
    for number, part in enumerate(parts):
        for found in _PLAYABLE_FROM.finditer(recorded.kinds, start, start + part.events):
            place = number, found.start() - start
            if found[0][0] == EventType.META:
                meta = place
            else:
                yield Snapshot(recorded.times[found.start()], *(meta or place))
        start += part.events


class _Press:
    """Makes parts, one after the other: asking for buffer and compressor each time costs more."""

    def __init__(self, level: int) -> None:
        self._compressor = _compressor(level)
        self._held = BytesIO()

    def part(self, events: Iterable[bytes | Raw]) -> bytes:
        held = self._held
        held.seek(0)
        held.writelines(chain.from_iterable(zip(events, repeat(b","))))
        with held.getbuffer() as buffer, buffer[: held.tell() - 1] as json:  # without the last comma
            return _blocks(self._compressor.compress(json))


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """A window over the whole part: events repeat what stands far before them."""
    return zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            level,
            source_size=PART_BYTES,
            window_log=_WINDOW_LOG,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
        )
    )


def _blocks(frame: bytes) -> bytes:
    """The blocks of a frame, none of them marked as the last (RFC 8878, 3.1.1.2)."""
    if zstandard.get_frame_parameters(frame).window_size > _WINDOW_MAX:
        raise ValueError("window beyond what browsers allow")
    at = zstandard.frame_header_size(frame)
    blocks = bytearray(frame[at:])
    at = 0
    while True:
        header = int.from_bytes(blocks[at : at + 3], "little")
        if header & _LAST_BLOCK:
            blocks[at] &= ~_LAST_BLOCK & 0xFF
            return bytes(blocks)
        at += 3 + (1 if header >> 1 & 3 == _RLE_BLOCK else header >> 3)
