"""What every storage does, and the three ways in which it can fail.

    StorageError
    ├── NotFound      no object of that name (or no longer the one that was meant)
    ├── Unavailable   storage is away: refused, timed out, 429, 5xx, disk full or failing. Worth waiting for.
    └── Refused       storage answered and said no: bad name, missing bucket, 403, bad credentials, other
                      bytes under that name, a size or CRC32C that does not match. Waiting does not help.

Every message is one line that can be shown to an operator. Objects are immutable: a name, once put, keeps its bytes
until it is deleted; only a signed PUT may replace what an earlier signed PUT to the same name has brought.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, BinaryIO, NamedTuple, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199})*")
_MAX_NAME = 900
_HARMLESS_TYPE = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]{0,60}|application/(?:octet-stream|json)")


class StorageError(Exception):
    """The root of what a storage raises."""


class NotFound(StorageError):
    """There is no such object."""


class Unavailable(StorageError):
    """Storage is away; the same call may succeed later. Costs a job no attempt."""


class Refused(StorageError):
    """Storage answered, and said no."""


class Stored(NamedTuple):
    """An object as storage reports it: bytes, CRC32C (unsigned), and what tells this object from any other that ever has its name."""

    size: int
    crc32c: int
    generation: str


class Found(NamedTuple):
    """An object that is there: bytes, and its generation, as in `Stored`."""

    size: int
    generation: str


class Storage(Protocol):
    """Objects by name. Names are made by us: segments of `[A-Za-z0-9._-]` joined by `/`, none starting with a dot."""

    @property
    def asgi(self) -> ASGIApp | None:
        """Serves the signed URLs, to be mounted at `/storage`; None where somebody else serves them."""

    async def put(
        self, name: str, body: BinaryIO, *, size: int, crc32c: int, content_type: str, deadline_s: float
    ) -> Stored:
        """Stores what `body` (seekable) holds from where it stands to its end: `size` bytes with that CRC32C.

        All or nothing, and durable when it returns. Repeating it with the same bytes changes nothing. Gives up after
        `deadline_s` seconds. Raises Unavailable (also past the deadline), or Refused when the bytes are not as
        announced, cannot be read, or the name has others.
        """

    async def find(self, name: str) -> Found | None:
        """Which object has the name now, or None: cheap, no byte of it is read. Raises Unavailable, Refused."""

    async def stat(self, name: str) -> Stored | None:
        """What is stored under the name, or None; a directory reads all of it. Raises Unavailable, Refused."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes `start <= i < end` in pieces of a few MiB, all of one object; clipped to its size.

        Whatever it raises (NotFound, Unavailable, Refused), it raises on iteration; mid-way too.
        """

    async def copy(self, source: str, target: str, *, generation: str, deadline_s: float) -> Stored:
        """Makes `target` hold what exactly that generation of `source` holds, inside the storage: no bytes pass here.

        All or nothing, and durable when it returns; what is later put to `source` does not change it. Repeating it
        changes nothing while the source is there. Raises NotFound when that generation is gone or was replaced,
        Unavailable (also past the deadline), or Refused when `target` has other bytes.
        """

    async def delete(self, name: str) -> bool:
        """Removes the object; False when there was none. Raises Unavailable, Refused."""

    def sign_put(self, name: str, *, ttl_s: int) -> str:
        """A URL to which anyone may PUT the object until `ttl_s` seconds from now, with any content type or none."""

    def sign_get(self, name: str, *, ttl_s: int, content_type: str | None = None) -> str:
        """A URL from which anyone may GET the object, with Range, until `ttl_s` seconds from now.

        The answer carries `content_type`, whatever was uploaded. Raises Refused unless that is video, audio, JSON or
        `application/octet-stream`, without parameters.
        """

    async def check(self) -> None:
        """One quick try whether storage can be reached. Raises Unavailable, Refused."""

    async def sweep(self) -> None:
        """Removes what writers that were killed have left half-written. Raises Unavailable, Refused."""

    async def close(self) -> None:
        """Lets go of connections and threads; no call may follow."""


def check_name(name: str) -> None:
    """Raises Refused unless every storage, file system and URL takes the name as it stands."""
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise Refused(f"not an object name: {name[:100]!r}")


def check_content_type(content_type: str | None) -> None:
    """Raises Refused for a type that could have a browser run what others uploaded."""
    if content_type is not None and not _HARMLESS_TYPE.fullmatch(content_type):
        raise Refused(f"not a content type for signed URLs: {content_type[:100]!r}")


def check_range(start: int, end: int | None) -> None:
    """Raises ValueError unless the two can be the bounds of a half-open range."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"not a byte range: {start}..{end}")
