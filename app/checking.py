"""From a decompressed body to what is stored of it: check the envelope, compress the payload.

Run as a program it is the child process of `app.uploads`: one body, from standard input, in bounded memory. It answers
with a line of JSON and, if the body is fit, the payload; when it needs more memory than it may have, it ends without an
answer, with the status `OUT_OF_MEMORY` or by a signal.
"""

import hashlib
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
import zstandard

from replay.chunk import Chunk, decode_chunk
from replay.envelope import BadEnvelope, Navigation, decode_upload
from replay.live import Batch, decode_batch
from replay.session import Opening, decode_session

T = TypeVar("T")

# Level 1 with the window of level 3: on recordings as small as level 3, in three quarters of its time.
COMPRESSION = zstandard.ZstdCompressionParameters.from_level(1, window_log=21)
NAVIGATIONS_BYTES = 1024 * 1024  # as JSON; they are part of every answer
SPARE_BYTES = 1024 * 1024 * 1024
OUT_OF_MEMORY = 3  # exit status
COPIES = 3  # the body, what it is compressed to, and the answer


class Head(msgspec.Struct):
    """What an envelope says beside its events and logs, checked (`replay.envelope`)."""

    started_at: datetime
    name: str | None
    ended_at: datetime | None
    duration_ms: int | None
    event_count: int | None
    navigations: list[Navigation]
    project_id: UUID | None
    has_video: bool
    has_audio: bool
    open: bool


class Checked(msgspec.Struct, Generic[T]):
    """A body that is fit to be stored, and its size as it is stored, decompressed. `digest` tells it from others: a SHA-256,
    if it was asked for."""

    head: T
    payload: bytes
    size: int
    digest: bytes | None


class Answer(msgspec.Struct, Generic[T]):
    """What the child process found: what is to be stored, whose payload follows apart, or why not
    (the faults of a `BadEnvelope`)."""

    checked: Checked[T] | None = None
    refusal: list[tuple[str | None, str]] = []


@dataclass(frozen=True)
class Format(Generic[T]):
    """A kind of body: how it is read, what its head is, and what its digest begins with.

    `read` gives the head and the envelope to store, in parts. It raises BadEnvelope. Of a batch the digest is always asked
    for.
    """

    name: str
    head: type[T]
    read: Callable[[bytearray], tuple[T, Sequence[bytes | bytearray | memoryview]]]
    salt: bytes = b""
    is_batch: bool = False


def _read_upload(body: bytearray) -> tuple[Head, Sequence[bytearray]]:
    envelope = decode_upload(body)
    head = Head(**{name: getattr(envelope, name) for name in Head.__struct_fields__})
    if len(msgspec.json.encode(head.navigations)) > NAVIGATIONS_BYTES:
        raise BadEnvelope(f"must not take more than {NAVIGATIONS_BYTES} bytes", "navigations")
    return head, [body]


UPLOAD = Format("upload", Head, _read_upload)
SESSION = Format("session", Opening, decode_session, b"save-replay ")
BATCH = Format("batch", Batch, decode_batch, b"ingest ", is_batch=True)
CHUNK = Format("chunk", Chunk, decode_chunk, b"chunk ", is_batch=True)
FORMATS: dict[str, Format[Any]] = {format_.name: format_ for format_ in (UPLOAD, SESSION, BATCH, CHUNK)}


def check(body: bytearray, format_: Format[T], *, digest: bool) -> Checked[T]:
    """Raises BadEnvelope."""
    head, envelope = format_.read(body)
    size = sum(map(len, envelope))
    return Checked(head, _compressed(envelope), size, _digest(format_.salt, body) if digest else None)


def _compressed(parts: Sequence[bytes | bytearray | memoryview]) -> bytes:
    compressor = zstandard.ZstdCompressor(compression_params=COMPRESSION)
    if len(parts) == 1:
        return compressor.compress(parts[0])
    stream = compressor.compressobj(size=sum(map(len, parts)))
    return b"".join([*map(stream.compress, parts), stream.flush()])


def _digest(salt: bytes, body: bytearray) -> bytes:
    digest = hashlib.sha256(salt)
    digest.update(body)
    return digest.digest()


def main(length: int, name: str, digest: bool) -> None:
    """Read a body of that length, check it, answer."""
    limit = SPARE_BYTES + COPIES * length
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    body = bytearray(length)
    with open(sys.stdin.fileno(), "rb") as sent:
        sent.readinto(body)
    try:
        checked = check(body, FORMATS[name], digest=digest)
    except BadEnvelope as error:
        answer, payload = Answer[Any](refusal=error.faults), b""
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    else:
        payload, checked.payload = checked.payload, b""
        answer = Answer(checked)
    with open(sys.stdout.fileno(), "wb") as out:
        out.write(msgspec.json.encode(answer) + b"\n")
        out.write(payload)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "1")
