"""From a decompressed body to what is stored of it: check the envelope, compress the payload.

Run as a program it is the child process of `app.uploads`: one body, from standard input, in bounded memory. It answers
with a line of JSON and, if the body is fit, the payload; when it needs more memory than it may have, it ends without an
answer, with the status `OUT_OF_MEMORY` or by a signal.
"""

import hashlib
import resource
import sys
from datetime import datetime
from uuid import UUID

import msgspec
import zstandard

from replay.envelope import BadEnvelope, Navigation, decode_upload

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


class Upload(msgspec.Struct):
    """A body that is fit to be stored. `digest` is the SHA-256 of the decompressed bytes, if it was asked for."""

    head: Head
    payload: bytes
    digest: bytes | None


class Answer(msgspec.Struct):
    """What the child process found: an upload, whose payload follows apart, or why there is none (`BadEnvelope`)."""

    upload: Upload | None = None
    refusal: tuple[str, str | None] | None = None


def check(body: bytearray, *, digest: bool) -> Upload:
    """Raises BadEnvelope."""
    envelope = decode_upload(body)
    head = Head(**{name: getattr(envelope, name) for name in Head.__struct_fields__})
    del envelope  # its slices may be many
    if len(msgspec.json.encode(head.navigations)) > NAVIGATIONS_BYTES:
        raise BadEnvelope(f"must not take more than {NAVIGATIONS_BYTES} bytes", "navigations")
    payload = zstandard.ZstdCompressor(compression_params=COMPRESSION).compress(body)
    return Upload(head, payload, hashlib.sha256(body).digest() if digest else None)


def main(length: int, digest: bool) -> None:
    """Read a body of that length, check it, answer."""
    limit = SPARE_BYTES + COPIES * length
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    body = bytearray(length)
    with open(sys.stdin.fileno(), "rb") as sent:
        sent.readinto(body)
    try:
        upload = check(body, digest=digest)
    except BadEnvelope as error:
        answer, payload = Answer(refusal=(error.message, error.field)), b""
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    else:
        payload, upload.payload = upload.payload, b""
        answer = Answer(upload)
    with open(sys.stdout.fileno(), "wb") as out:
        out.write(msgspec.json.encode(answer) + b"\n")
        out.write(payload)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "1")
