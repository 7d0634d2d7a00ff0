"""A recording file becomes an upload: the zstd-compressed envelope that `POST /api/v1/recordings` takes.

The idempotency key is made from the envelope, so that sending the same file again, after an answer that got lost, is
answered with the recording that the first time made.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import BinaryIO, NamedTuple
from uuid import UUID, uuid4

import msgspec
import zstandard
from msgspec import Raw

from app.encodings import DECODERS, BadEncoding, Decoder
from app.wrappers import BadFile, Unwrapped, unwrap
from replay.envelope import NAME_MAX

FILE_MAX_BYTES = 2 << 30  # decompressed; decks take 512 MiB unless set otherwise
ZSTD_LEVEL = 3

_STEP = 1 << 20
_NULL = Raw(b"null")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Upload(NamedTuple):
    """`body` is zstd; `bytes` what it decompresses to."""

    body: bytes
    bytes: int
    event_count: int
    idempotency_key: str


def read(
    source: BinaryIO,
    *,
    name: str | None,
    made_at: datetime,
    title: str | None,
    project_id: UUID | None,
    again: bool,
    video: bytes | None = None,
) -> Upload:
    """What `source` holds, ready to send. Raises BadFile, OSError.

    `name` is used where the file has none of its own, `title` in any case; so `made_at`, where its events count time
    from their own start. `again`: a key that was never used before. `video`: the digest of the one that follows, if one
    does, whatever the file says: with another video it is another recording.
    """
    found = unwrap(read_text(_decompressed(source), FILE_MAX_BYTES))
    members = envelope(found, name, made_at) | ({} if title is None else {"name": title})
    members["has_video"] = True if video else None
    made = upload(members, found, project_id, again=again)
    return made._replace(idempotency_key=f"{made.idempotency_key}-{video.hex()[:32]}") if video else made


def read_text(chunks: Iterator[bytes], max_bytes: int, hint: str = "") -> bytearray:
    """What all chunks bring. Raises BadFile when that is too much, with a hint; and what `chunks` raises."""
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > max_bytes:
            raise BadFile(f"more than {max_bytes >> 20} MiB when decompressed{hint}")
    return text


def envelope(found: Unwrapped, name: str | None, made_at: datetime) -> dict[str, object]:
    """The members of the envelope, without its events. `name` and `made_at` as in `read`."""
    members: dict[str, object] = {
        "name": name and name[:NAME_MAX],
        "started_at": started_at(found.first_ms, made_at),
        "event_count": len(found.events),
    }
    return members | {key: value for key, value in found.members.items() if value != _NULL}


def upload(members: dict[str, object], found: Unwrapped, project_id: UUID | None, *, again: bool) -> Upload:
    """The envelope, compressed. `again`: a key that was never used before."""
    if project_id is not None:
        members = members | {"project_id": project_id}
    members = {key: value for key, value in members.items() if value is not None}
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
    digest, size, body = hashlib.sha256(), 0, bytearray()
    for piece in _envelope(members, found.events):
        digest.update(piece)
        size += len(piece)
        body += compressor.compress(piece)
    body += compressor.flush()
    key = f"send-{uuid4()}" if again else f"send-{digest.hexdigest()}"
    return Upload(bytes(body), size, len(found.events), key)


def _envelope(members: dict[str, object], events: list[Raw | bytes]) -> Iterator[bytes | Raw]:
    yield msgspec.json.encode(members)[:-1] + b',"events":['
    for i, event in enumerate(events):
        if i:
            yield b","
        yield event
    yield b"]}"


def started_at(first_ms: float | None, made_at: datetime) -> datetime:
    """When a recording began: with its first event, where that tells."""
    return made_at if first_ms is None else _EPOCH + timedelta(milliseconds=int(first_ms))


def _decompressed(source: BinaryIO) -> Iterator[bytes]:
    start = source.read(_STEP)
    chunks = chain([start], iter(lambda: source.read(_STEP), b""))
    for magic, coding in _MAGIC.items():
        if start.startswith(magic):
            return _decoded(chunks, DECODERS[coding]())
    return chunks


def _decoded(chunks: Iterator[bytes], decoder: Decoder) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            yield from decoder.decode(chunk)
        decoder.finish()
    except BadEncoding as error:
        raise BadFile(str(error)) from None
