"""The journal of an import: a line of JSON for each recording that a deck has accepted.

    {"target": "http://127.0.0.1:8000 …", "content": "<sha-256>", "recording": "<uuid>", "path": "a.zip/b.json", "at": "…"}

A line is appended and synced after its 201, before anything else is told: whatever is killed, what the journal says is
true, and only the very last 201 of each upload under way may be missing. Those are asked for again with the same
idempotency key. `target` is the deck and the project (or, by default, the key) that a recording went to; one journal
serves many. A torn line, which only a crash can leave, says nothing.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition
from uuid import UUID

import msgspec

from app.exits import USAGE, Exit
from app.wrappers import Unwrapped

FILE = "imported.ndjson"


class BadJournal(Exit):
    """The journal cannot be read or written: nobody could go on from it."""

    status = USAGE
    code = "bad_journal"


class _Line(msgspec.Struct):
    target: str
    content: str
    recording: UUID
    path: str
    at: datetime


def content_of(found: Unwrapped) -> str:
    """What tells a recording from every other: its events and what its envelope says, but not its file's name or age."""
    digest = hashlib.sha256(msgspec.json.encode(found.members, order="sorted"))
    for event in found.events:
        digest.update(b"\n%d\n" % len(event))
        digest.update(event)
    return digest.hexdigest()


def target_of(url: str, api_key: str, project_id: UUID | None) -> str:
    """Where recordings go. A key stands for its project, but is not told."""
    return f"{url} {project_id or hashlib.sha256(api_key.encode()).hexdigest()[:16]}"


class Journal:
    """What was sent to one target. Use as a context manager, and in threads as you like.

    It is made if it is not there, unless it is only to be read (`dry`). Raises BadJournal, here and in `add`.
    """

    def __init__(self, path: Path, target: str, *, dry: bool = False) -> None:
        self.path = path
        self._target = target
        self._known: dict[bytes, UUID] = {}
        self._held: set[str] = set()
        self._changed = Condition()
        with self._errors():
            if path.exists() and not path.is_file():
                raise BadJournal(f"{path} is no file")
            self._file = None if dry else self._open()
            if path.exists():
                self._read()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            if self._file is not None:
                os.close(self._file)
            self._file = None

    def get(self, content: str) -> UUID | None:
        """The recording that has this content already."""
        return self._known.get(bytes.fromhex(content))

    @contextmanager
    def held(self, content: str) -> Iterator[None]:
        """Within, nobody else holds this content: two files with the same recording do not race."""
        with self._changed:
            self._changed.wait_for(lambda: content not in self._held)
            self._held.add(content)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(content)
                self._changed.notify_all()

    def add(self, content: str, recording: UUID, path: str) -> None:
        """Note, for good, that this content was accepted as that recording."""
        line = msgspec.json.encode(_Line(self._target, content, recording, path, datetime.now(UTC))) + b"\n"
        with self._changed, self._errors():
            self._append(line)
            self._known[bytes.fromhex(content)] = recording

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadJournal(f"{self.path}: {error.strerror or error}") from None

    def _read(self) -> None:
        decode = msgspec.json.Decoder(_Line).decode
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    found = decode(line)
                    content = bytes.fromhex(found.content)
                except (msgspec.DecodeError, ValueError):
                    continue  # torn
                if found.target == self._target:
                    self._known[content] = found.recording

    def _append(self, line: bytes) -> None:
        if self._file is None:  # closed meanwhile: an upload that nobody waited for
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)  # another import may write here too
        try:
            end = os.lseek(self._file, 0, os.SEEK_END)
            if end and os.pread(self._file, 1, end - 1) != b"\n":
                line = b"\n" + line
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _open(self) -> int:
        folder = self.path.parent
        # As `Home` makes it: root's servers run as an ordinary user, who must be able to pass through.
        folder.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
        return file
