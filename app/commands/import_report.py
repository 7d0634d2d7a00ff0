"""What an import tells: a bar on a terminal, else a line for each recording; at the end a summary."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from threading import RLock
from typing import Any, Self
from uuid import UUID

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from app import describe
from app.client import Refused
from app.commands import terminal
from app.exits import REFUSED, Exit
from app.importing.find import File, Odd
from app.importing.pipeline import Outcome, Result

CURRENT_CHARS = 24  # of the current file's name
SAY_AGAIN_S = 15.0  # however many threads wait for the deck, that is told as often as this


class Report:
    """Use as a context manager; what threads tell may come at the same time.

    `total`: how many files and bytes there are, asked for only when somebody watches. `accepted`, when it
    is to `keep` them: the recordings that the deck has, sent now or before, and where they came from.
    """

    def __init__(self, *, as_json: bool, dry: bool, keep: bool, total: Callable[[], tuple[int, int]]) -> None:
        console = terminal.stderr()
        watched = console.is_terminal and not (as_json or dry)
        self.accepted: dict[UUID, str] = {}
        self._as_json, self._dry, self._keep = as_json, dry, keep
        self._lines = not (watched and sys.stdout.isatty())
        self._tally = terminal.Tally()
        self._lock = RLock()
        self._counts: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._said_at = 0.0
        self._files, self._bytes, self._events = 0, 0, 0
        self._total, bytes_total = total() if watched else (0, 0)
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.fields[done]}", table_column=Column(no_wrap=True)), BarColumn(bar_width=20), DownloadColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[current]}", markup=False, table_column=Column(no_wrap=True)),
            console=console, transient=True, disable=not watched,
        )  # fmt: skip
        self._bar = self._progress.add_task("", total=bytes_total, done="", current="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def reading(self, files: Iterator[File | Odd]) -> Iterator[File | Odd]:
        """The files, each told as it is begun and when it is done."""
        for file in files:
            if isinstance(file, Odd):
                yield file
                continue
            self._show(current=str(terminal.safe(file.place.rpartition("/")[2]))[:CURRENT_CHARS])
            yield file
            self._files, self._bytes = self._files + 1, self._bytes + file.size
            self._show(completed=self._bytes)

    def read(self, position: int) -> None:
        """How far the current file is read."""
        self._show(completed=self._bytes + position)

    def waiting(self, reason: str, seconds: float) -> None:
        """Why a request waits before it is sent again."""
        with self._lock:
            if time.monotonic() - self._said_at > SAY_AGAIN_S:
                self._said_at = time.monotonic()
                terminal.say_waiting(reason, seconds)

    def result(self, result: Result) -> None:
        """What became of a file, or of a recording in it."""
        with self._lock:
            self._counts[result.outcome] += 1
            if result.found and result.outcome in (Outcome.SENT, Outcome.FOUND):
                self._events += len(result.found.events)
            if self._keep and result.recording_id:
                self.accepted.setdefault(result.recording_id, result.label)
            if result.outcome == Outcome.SKIPPED:
                self._reasons[str(result.error).partition(":")[0]] += 1
            self._tell(result)
            self._show()

    def failed(self, what: object, error: Exit) -> None:
        """What goes wrong with all of it."""
        with self._lock:
            self._tally.failed(what, error)

    def status(self, recording: dict[str, Any]) -> None:
        """How a recording ended, at last."""
        recording_id, status = UUID(str(recording["id"])), str(recording["status"])
        label = self.accepted[recording_id]
        self._statuses[status] += 1
        if self._as_json:
            terminal.write_json({"path": label} | recording)
        elif self._lines:
            terminal.print_line(label, recording_id, status, describe.facts(recording))
        if failure := recording.get("failure"):
            self._tally.failed(
                f"{label} {recording_id}", Exit(f"{failure['code']}: {failure['message']}", REFUSED)
            )

    def gone(self, recording_id: UUID, error: Refused) -> None:
        """A recording that the deck accepted cannot be seen any more."""
        if error.code == "not_found":
            self._statuses["deleted since"] += 1
        else:
            self.failed(self.accepted[recording_id], error)

    def summary(self) -> None:
        """How much became of what."""
        sums = {outcome.replace(" ", "_"): self._counts[outcome] for outcome in Outcome}
        if self._as_json:
            terminal.write_json(
                {"summary": sums | {"events": self._events, "statuses": dict(self._statuses)}}
            )
            return
        parts = []
        for outcome in Outcome:
            count = self._counts[outcome]
            if count or outcome in (Outcome.FAILED, Outcome.FOUND if self._dry else Outcome.SENT):
                parts.append(f"{count} {outcome}{self._more(outcome)}")
        parts += [f"{count} {status}" for status, count in sorted(self._statuses.items())]
        terminal.print_line(", ".join(parts))

    def exit(self) -> None:
        """End with the highest status of all that failed."""
        self._tally.exit()

    def _more(self, outcome: Outcome) -> str:
        if outcome in (Outcome.SENT, Outcome.FOUND):
            return f" ({describe.plural(self._events, 'event')})"
        if outcome == Outcome.SKIPPED and self._reasons:
            return f" ({'; '.join(f'{count} {reason}' for reason, count in self._reasons.most_common())})"
        return ""

    def _tell(self, result: Result) -> None:
        if result.outcome == Outcome.FAILED and result.error:
            self._tally.failed(result.label, result.error)
        if self._as_json:
            terminal.write_json(_as_json(result))
        elif result.outcome == Outcome.SKIPPED and self._lines:
            terminal.say(f"{result.label}: skipped, {result.error}")
        elif result.outcome == Outcome.FOUND and result.found:
            began = describe.moment(_text(result.started_at))
            wrapper = f"{result.found.wrapper}{f', {result.coding}' if result.coding else ''}"
            events = describe.plural(len(result.found.events), "event")
            terminal.print_line(result.label, wrapper, events, began, result.name or "")
        elif result.recording_id and self._lines:
            terminal.print_line(result.label, result.recording_id, result.outcome)

    def _show(self, **changed: Any) -> None:
        if self._progress.disable:
            return
        with self._lock:
            counts = self._counts
            recordings = counts[Outcome.SENT] + counts[Outcome.THERE]
            done = f"{self._files}/{self._total} files, {describe.plural(recordings, 'recording')}"
            if counts[Outcome.FAILED]:
                done += f", {counts[Outcome.FAILED]} failed"
            self._progress.update(self._bar, done=done, **changed)


def _as_json(result: Result) -> dict[str, Any]:
    line: dict[str, Any] = {"path": result.label, "outcome": result.outcome.replace(" ", "_")}
    if result.recording_id:
        line["id"] = result.recording_id
    if result.found:
        line |= {
            "wrapper": result.found.wrapper, "compression": result.coding, "events": len(result.found.events),
            "session": result.found.session, "name": result.name, "started_at": _text(result.started_at),
        }  # fmt: skip
    if result.error:
        line["error"] = {"code": getattr(result.error, "code", "usage"), "message": str(result.error)}
    return line


def _text(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z") if hasattr(moment, "isoformat") else str(moment)
