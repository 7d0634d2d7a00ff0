"""What is in a file: one text, or the members of an archive. Nothing is ever written to disk, under whatever name.

An archive is read as a stream, member by member (zip: by its directory). Archives inside archives are not followed.
"""

import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

from app.importing.find import File, Odd, printable, reason
from app.importing.streams import chunks_of, opened
from app.wrappers import BadFile, NoRecording

HEADERS_MAX_BYTES = 1 << 20  # of one member of a tar: names and attributes, which are held

_HEAD_BYTES = 4096
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_TAR, _TAR_AT = b"ustar", 257
_TAR_NAMES = (".tar", ".tgz", ".tbz2", ".txz", ".tzst")
_JSON_STARTS = (b"{", b"[", b'"')
# Settings, logs and tables may begin much like JSON: `[section]`, `[12:00] hello`, `"a","b"`.
_PLAUSIBLE = re.compile(
    rb"""
      [\[\s]* (?: \{ \s* (?: ["}] | \Z ) | \] | \Z )          # an object, or nothing, in arrays
    | \[ [\[\s]* "                                           # strings in arrays
    | " (?: [^"\\] | \\. )* (?: \Z | " \s* (?: \Z | [\[{"] ) )  # a string, and nothing or another text after it
    """,
    re.VERBOSE | re.DOTALL,
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_ENCRYPTED = 0x1  # APPNOTE.TXT, 4.4.4, bit 0
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
           RuntimeError, ValueError)  # fmt: skip


class Text(NamedTuple):
    """A text that begins like JSON. Read `chunks`, decompressed, before the next one is asked for; it raises BadFile.

    `label` says where it is, `place` the same below what was named. `coding` as in `Opened`.
    """

    label: str
    place: str
    made_at: datetime
    coding: str | None
    chunks: Iterator[bytes]
    named: bool = False


def texts(file: File, on_read: Callable[[int], None]) -> Iterator[Text | Odd]:
    """What is in a file. `on_read` hears where in the file we are, in bytes."""
    label = printable(file.path)
    try:
        with open(file.path, "rb") as source:
            made_at = _moment(source)
            for found in _look(source, file, label, made_at):
                yield found
                if file.size:
                    on_read(min(source.tell(), file.size))
    except BadFile as error:
        yield Odd(label, error, file.named)
    except OSError as error:
        yield Odd(label, reason(error), file.named)
    except _BROKEN as error:
        yield Odd(label, _broken(error), file.named)


def _look(source: BinaryIO, file: File, label: str, made_at: datetime) -> Iterator[Text | Odd]:
    coding, head, chunks = opened(chunks_of(source), _HEAD_BYTES)
    if coding is None and head.startswith(_ZIP):
        members = _of_zip(source, made_at)
    elif _is_tar(head, file.path):
        members = _of_tar(chunks, made_at)
    else:
        yield Text(label, file.place, made_at, coding, _checked(head, chunks), file.named)
        return
    for name, moment, content in members:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if any(part.startswith(".") and part != ".." for part in parts):
            continue
        name = printable("/".join(parts))
        member, place = f"{label}/{name}", f"{file.place}/{name}"
        if isinstance(content, BadFile):
            yield Odd(member, content)
            continue
        try:
            coding, head, chunks = opened(_told(content), _HEAD_BYTES)
            if head.startswith(_ZIP) or _is_tar(head, name):
                raise NoRecording("an archive inside an archive")
            yield Text(member, place, moment, coding, _checked(head, chunks))
        except BadFile as error:
            yield Odd(member, error)


_Member = tuple[str, datetime, Iterator[bytes] | BadFile]


def _of_zip(source: BinaryIO, made_at: datetime) -> Iterator[_Member]:
    if not source.seekable():
        raise BadFile("a zip file that comes through a pipe; name a file")
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            try:
                moment = datetime(
                    *member.date_time, tzinfo=UTC
                )  # in whatever zone it was packed: none is told
            except ValueError:
                moment = made_at
            if member.flag_bits & _ENCRYPTED:
                yield member.filename, moment, BadFile("encrypted")
                continue
            try:
                content = archive.open(member)
            except _BROKEN as error:
                yield member.filename, moment, _broken(error)
                continue
            with content:
                yield member.filename, moment, chunks_of(content)


def _of_tar(chunks: Iterator[bytes], made_at: datetime) -> Iterator[_Member]:
    stream = _Stream(chunks)
    stream.allow(HEADERS_MAX_BYTES)
    with closing(tarfile.open(fileobj=stream, mode="r|", bufsize=_Stream.BUFFER)) as archive:
        while member := archive.next():
            archive.members = []  # type: ignore[attr-defined] # it would keep them all
            try:
                moment = datetime.fromtimestamp(member.mtime, UTC)
            except (ValueError, OverflowError, OSError):
                moment = made_at
            if member.issparse():
                raise BadFile("a sparse file in it; make the archive without --sparse")
            if member.islnk() or member.issym():
                yield member.name, moment, NoRecording("a link inside an archive")
            content = None if member.islnk() or member.issym() else archive.extractfile(member)
            if content is not None:
                stream.allow(None)
                rest = chunks_of(content)
                if member.isreg():
                    yield member.name, moment, rest
                for _ in rest:
                    pass
            stream.allow(HEADERS_MAX_BYTES)


class _Stream(io.RawIOBase):
    """Chunks as the file that `tarfile` wants."""

    BUFFER = 64 * 1024

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._left: int | None = None

    def allow(self, count: int | None) -> None:
        """What may be read from here on, for a header that is held in memory (and a buffer of what comes after it)."""
        self._left = None if count is None else count + self.BUFFER

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        found, self._rest = bytes(self._rest[:size]), self._rest[size:]
        if self._left is not None:
            self._left -= len(found)
            if self._left < 0:
                raise BadFile(f"a member's headers have more than {HEADERS_MAX_BYTES >> 20} MiB")
        return found


def _told(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except BadFile:
        raise
    except _BROKEN as error:
        raise _broken(error) from None


def _checked(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if head.startswith(_UTF_16):
        raise BadFile("in UTF-16; make it UTF-8")
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not start:
        raise NoRecording("empty" if len(head) < _HEAD_BYTES else "not JSON")
    if not start.startswith(_JSON_STARTS):
        raise NoRecording("not JSON")
    if not _PLAUSIBLE.match(start):
        raise NoRecording("no rrweb events in it")
    return chunks


def _is_tar(head: bytes, name: str) -> bool:
    if head[_TAR_AT:].startswith(_TAR):
        return True
    name = name.lower()
    return not head.strip(b"\0") and (name.endswith(_TAR_NAMES) or ".tar." in name)  # an empty one


def _moment(source: BinaryIO) -> datetime:
    return datetime.fromtimestamp(os.fstat(source.fileno()).st_mtime, UTC)


def _broken(error: Exception) -> BadFile:
    return BadFile(f"a broken archive: {error}")
