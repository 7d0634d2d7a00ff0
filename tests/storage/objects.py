"""What the tests put, and how they read it back."""

import io
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import google_crc32c

from storage.protocol import Storage, Stored

DATA = bytes(range(256)) * 4


def new_name(suffix: str = "tape") -> str:
    """A name that no other test has."""
    return f"recordings/{uuid.uuid4()}/{suffix}"


async def put(storage: Storage, name: str, data: bytes, *, deadline_s: float = 30, **claims: int) -> Stored:
    """Puts the bytes; `size` and `crc32c` may be claimed otherwise."""
    size, crc32c = claims.get("size", len(data)), claims.get("crc32c", google_crc32c.value(data))
    return await storage.put(
        name,
        io.BytesIO(data),
        size=size,
        crc32c=crc32c,
        content_type="application/zstd",
        deadline_s=deadline_s,
    )


async def read(storage: Storage, name: str, start: int = 0, end: int | None = None) -> bytes:
    """The bytes in one piece."""
    return b"".join([piece async for piece in storage.read(name, start, end)])


Call = Callable[[Storage], Coroutine[Any, Any, Any]]
CALLS: dict[str, Call] = {
    "put": lambda bucket: put(bucket, new_name(), b"x"),
    "stat": lambda bucket: bucket.stat(new_name()),
    "read": lambda bucket: read(bucket, new_name()),
    "copy": lambda bucket: bucket.copy(new_name(), new_name(), generation="1", deadline_s=30),
    "delete": lambda bucket: bucket.delete(new_name()),
    "check": lambda bucket: bucket.check(),
}


def files(root: Path) -> list[str]:
    """Everything below the root but the folders, drafts included."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    """A body that announces no length."""
    for _ in range(0, size, 50_000):
        yield bytes(50_000)
