"""An import: what is found is read one after the other, and sent by several threads.

Each thread has one file at a time, and nothing is read ahead for none: memory is bounded by their number. One file that
cannot be used stops nobody; what all the others would meet too (no deck, a wrong key, a journal that cannot be written)
stops everything. So does `stop`, at once for what waits, after their answers for uploads under way.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw

from app import recording_file
from app.client import Client, Refused, Unreachable
from app.exits import Exit
from app.importing.contents import Text
from app.importing.find import Odd, reason
from app.importing.journal import BadJournal, Journal, content_of
from app.importing.limit import Limit
from app.wrappers import BadFile, NoRecording, Unwrapped, unwrap_all
from replay import surrogates
from replay.events import Rejected, read_head
from replay.unpack import unpack_string

_STRING, _OBJECT = ord('"'), ord("{")
_FOR_ALL = ("unauthorized", "forbidden", "not_a_deck")
_AWAITED = ("has_video", "has_audio", "open")  # a video, or more events, that nobody would bring

_anything = msgspec.json.Decoder()


class Outcome(StrEnum):
    """What became of a file, or of a recording in it."""

    SENT = "sent"
    THERE = "already there"
    FOUND = "found"  # and not sent, since nobody asked for it
    SKIPPED = "skipped"  # no recording
    FAILED = "failed"


class Result(NamedTuple):
    """`label`: where. The rest is None where it is not known; `name` and `started_at` as the deck is told."""

    outcome: Outcome
    label: str
    error: Exit | None = None
    found: Unwrapped | None = None
    name: str | None = None
    started_at: Any = None
    recording_id: UUID | None = None
    coding: str | None = None


class Options(NamedTuple):
    """`limit`: how many new recordings; `max_bytes`: of one file, decompressed; `name_of`: a file's recordings."""

    project_id: UUID | None
    again: bool
    limit: int | None
    max_bytes: int
    name_of: Callable[[Text], str]


class Stopped(Exit):
    """Asked to stop, while waiting for a deck."""


class Import:
    """Sends what is found; with no `client`, only tells. `on_result` is called from several threads."""

    def __init__(
        self,
        client: Client | None,
        journal: Journal,
        options: Options,
        jobs: int,
        on_result: Callable[[Result], None],
    ) -> None:
        self._client, self._journal, self._options = client, journal, options
        self._on_result = on_result
        self._limit = Limit(options.limit)
        self._lock = threading.Lock()
        self._enough = threading.Event()  # begin nothing more
        self._stop = threading.Event()  # and give up what only waits
        self._slots = threading.Semaphore(jobs)
        self._work: queue.SimpleQueue[tuple[Text, bytearray] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(jobs)]
        self._broken: Exception | None = None
        self.stopped_by: Exit | None = None

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def run(self, found: Iterable[Text | Odd]) -> None:
        """Take all of it, and return when everything is told. Raises what nobody expected; see `stopped_by`."""
        for thread in self._threads:
            thread.start()
        for entry in found:
            if self._enough.is_set() or self._limit.is_reached:
                break
            if isinstance(entry, Odd):
                self._odd(entry.label, entry.error, named=entry.named)
                continue
            self._slots.acquire()
            if self._enough.is_set():
                break
            text = self._read(entry)
            if text is None:
                self._slots.release()
            else:
                self._work.put((entry, text))
                del text
        self.finish(None)

    def stop(self) -> None:
        """Begin nothing more, and wait no longer where a deck is away or busy."""
        self._stop.set()
        self._enough.set()

    def finish(self, within_s: float | None) -> None:
        """Wait, for so long, until what is under way is done."""
        for _ in self._threads:
            self._work.put(None)
        deadline = None if within_s is None else time.monotonic() + within_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if self._broken is not None:
            raise self._broken

    def _read(self, text: Text) -> bytearray | None:
        try:
            return recording_file.read_text(text.chunks, self._options.max_bytes, "; see --max-mib")
        except BadFile as error:
            self._odd(text.label, error, named=text.named)
        except OSError as error:
            self._odd(text.label, reason(error), named=text.named)
        return None

    def _odd(self, label: str, error: Exit, *, named: bool) -> None:
        skipped = isinstance(error, NoRecording) and not named
        self._on_result(Result(Outcome.SKIPPED if skipped else Outcome.FAILED, label, error))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                if not self._enough.is_set():
                    self._take(*work)
            except Exception as error:
                self._broken = error
                self.stop()
            finally:
                del work
                self._slots.release()

    def _take(self, text: Text, content: bytearray) -> None:
        try:
            recordings = unwrap_all(content)
        except BadFile as error:
            self._odd(text.label, error, named=text.named)
            return
        for number, found in enumerate(recordings, 1):
            alone = len(recordings) == 1
            which = "" if alone else found.session or str(number)
            try:
                self._one(text, found, which)
            except NoRecording as error:
                self._odd(_label(text.label, which), error, named=text.named)
            except Stopped:
                return
            except (BadJournal, Unreachable) as error:
                self._end(error)
            except Refused as error:
                if self._is_for_all(error):
                    self._end(error)
                else:
                    self._odd(_label(text.label, which), error, named=text.named)
            if self._enough.is_set():
                return

    def _one(self, text: Text, found: Unwrapped, which: str) -> None:
        for member in _AWAITED:
            found.members.pop(member, None)
        if not any(map(_is_event, found.events)):
            raise NoRecording("no rrweb events in it")
        name = _label(self._options.name_of(text), which)
        members = recording_file.envelope(found, name, text.made_at)
        result = Result(
            Outcome.FOUND, _label(text.label, which), found=found, name=_plain(members["name"]),
            started_at=_plain(members["started_at"]), coding=text.coding,
        )  # fmt: skip
        content = content_of(found)
        again = self._options.again
        with self._journal.held(content), self._limit.place() as has_place:
            known = None if again else self._journal.get(content)
            if known is not None:
                result = result._replace(outcome=Outcome.THERE, recording_id=known)
            elif not has_place or self._stop.is_set():
                return
            elif self._client is None:
                self._limit.taken()
            else:
                upload = recording_file.upload(members, found, self._options.project_id, again=again)
                created = self._client.create(upload, _quietly)
                self._journal.add(content, created.id, result.label)
                outcome = Outcome.THERE if created.replayed else Outcome.SENT
                if outcome == Outcome.SENT:
                    self._limit.taken()
                result = result._replace(outcome=outcome, recording_id=created.id)
        if self._limit.is_reached:
            self._enough.set()
        self._on_result(result)

    def _end(self, error: Exit) -> None:
        with self._lock:
            self.stopped_by = self.stopped_by or error
        self.stop()

    def _is_for_all(self, error: Refused) -> bool:
        return error.code in _FOR_ALL or (
            error.code == "project_not_found" and self._options.project_id is not None
        )


def _label(label: str, which: str) -> str:
    return f"{label} {which}" if which else label


def _is_event(event: Raw | bytes) -> bool:
    kind = memoryview(event)[0]
    try:
        if kind == _STRING:
            read_head(unpack_string(Raw(event)))
        elif kind == _OBJECT:
            read_head(event)
    except Rejected:
        return False
    return kind in (_STRING, _OBJECT)


def _plain(value: object) -> Any:
    return surrogates.decode(_anything, value) if isinstance(value, Raw) else value


def _quietly(sent: int) -> None:
    pass
