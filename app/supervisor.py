"""Runs the processes of a deck under one roof: starts them, starts again what dies, shows what they say, stops them in
order. Each is on a leash (see `leash`) and leads a session of its own, whose leftovers are killed when it ends.

A `Runnable` is a program of the Procfile or an embedded server. The supervisor knows neither settings nor HTTP.
"""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app import leash
from app.console import Console

MISCONFIGURED = 2  # the exit status of a process that cannot run with the settings it was given
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
STEADY_S = 10.0  # what ran for so long starts again without delay
HURRIED_STOP_S = 1.0
LAST_WORDS_S = 1.0  # for what a process wrote before it ended to arrive here


class Ended(Exception):
    """A process ended that should have lived, or got done; the message is one line with the last it said."""

    def __init__(self, name: str, status: int, last_words: str) -> None:
        self.status = status
        super().__init__(f"{name} {how_it_ended(status)}" + (f": {last_words}" if last_words else ""))


class Runnable(Protocol):
    """What can be supervised."""

    name: str
    stop_signal: signal.Signals
    stop_s: float  # how long it may take to stop in order; after that it is killed

    def command(self) -> leash.Leashed:
        """What to start now; OSError or an EmbeddedError when that is not possible (yet)."""

    def started(self) -> None:
        """Called after each start, failed ones too."""

    def is_ready(self) -> bool:
        """May what needs it be started?"""


@dataclass
class Program:
    """One line of the Procfile. `fds` are inherited by it and by what it starts."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stop_s: float = 10.0
    fds: Sequence[int] = ()
    stop_signal: signal.Signals = signal.SIGTERM

    def command(self) -> leash.Leashed:
        return leash.command(self.argv, fds=self.fds, env=self.env)

    def started(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Process type to argv. Lines are `type: command`; comments and blank lines are skipped, no shell is involved."""
    lines = (line.partition(":") for line in path.read_text().splitlines() if not line.startswith("#"))
    return {name.strip(): shlex.split(command) for name, colon, command in lines if colon and command.strip()}


class Supervisor:
    """Start things with `start()`, in the order of their needs; `stop()` everything at the end, also after errors."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # Done as soon as a process says by its exit status that it cannot run with these settings.
        self.misconfigured: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._kept: dict[str, _Kept] = {}
        self._hurried = asyncio.Event()

    async def run(self, program: Program) -> None:
        """Run something once, to its end. Raises Ended when its status is not 0."""
        once = _Kept(self, program)
        running = asyncio.ensure_future(once.run_once())
        try:
            status = await asyncio.shield(running)
        except asyncio.CancelledError:
            await once.stop()
            await running
            raise
        if status != 0:
            raise Ended(program.name, status, once.last_words)

    async def start(self, runnable: Runnable) -> None:
        """Start it, wait until it is ready, and from then on start it again whenever it ends. Raises Ended."""
        kept = self._kept[runnable.name] = _Kept(self, runnable)
        await kept.start()

    async def stop(self, order: Sequence[str] = ()) -> None:
        """Stop those named in `order`, then the others, latest first; each when the one before it has ended."""
        named = [name for name in order if name in self._kept]
        for name in named + [name for name in reversed(self._kept) if name not in named]:
            await self._kept[name].stop()
        self._kept.clear()

    def hurry(self) -> None:
        """Whatever still runs while `stop()` waits for it gets a second more."""
        self._hurried.set()

    async def wait_briefly(self, ended: asyncio.Task[int], seconds: float) -> None:
        """Until `ended`, but no longer than `seconds`, or `HURRIED_STOP_S` after somebody asked to hurry."""
        hurried = asyncio.ensure_future(self._hurried.wait())
        either: set[asyncio.Future[Any]] = {ended, hurried}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if hurried.done() and not ended.done():
            await asyncio.wait({ended}, timeout=HURRIED_STOP_S)
        hurried.cancel()


class _Kept:
    """One process and its successors."""

    def __init__(self, supervisor: Supervisor, runnable: Runnable) -> None:
        self.last_words = ""
        self._supervisor = supervisor
        self._runnable = runnable
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        first = asyncio.ensure_future(self.run_once())
        self._keeping = asyncio.ensure_future(self._keep(first))
        while self._process is None or not self._runnable.is_ready():
            await asyncio.wait({first}, timeout=0.02)
            if first.done():
                self._stopping = True
                raise Ended(self._runnable.name, first.result(), self.last_words)

    async def _keep(self, running: asyncio.Future[int]) -> None:
        name, delay = self._runnable.name, FIRST_DELAY_S
        while True:
            begun = time.monotonic()
            try:
                status = await running
            except Exception as error:  # whatever kept it from starting may pass
                problem = str(error)
            else:
                problem = how_it_ended(status)
                if status == MISCONFIGURED and not self._supervisor.misconfigured.done():
                    self._supervisor.misconfigured.set_result(Ended(name, status, self.last_words))
            if self._stopping:
                return
            delay = FIRST_DELAY_S if time.monotonic() - begun > STEADY_S else min(delay * 2, LONGEST_DELAY_S)
            self._supervisor.console.say(name, f"{problem}; starting it again in {delay:.1f} s")
            await asyncio.sleep(delay)
            running = asyncio.ensure_future(self.run_once())

    async def run_once(self) -> int:
        """Start the process, pass on what it says, and return its exit status (negative: the signal that ended it)."""
        source, sink = os.pipe()
        try:
            leashed = self._runnable.command()
            self._process = await asyncio.create_subprocess_exec(
                *leashed.argv, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=leashed.fds,
                env=leashed.env, cwd=leashed.cwd, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(source)
            raise
        finally:
            os.close(sink)
            self._runnable.started()
        # A pipe of our own: the end of the process is not the end of what its children say.
        listening = asyncio.ensure_future(self._listen(source))
        status = await self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.wait({listening}, timeout=LAST_WORDS_S)
        listening.cancel()
        return status

    async def _listen(self, source: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb")
        )
        rest = b""
        try:
            while chunk := await reader.read(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > 65536:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._say(line)
        finally:
            if rest:
                self._say(rest)
            transport.close()

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text.strip():
            self.last_words = text
        self._supervisor.console.say(self._runnable.name, text)

    async def stop(self) -> None:
        """Ask it to stop, wait, and kill what is left. Idempotent."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self._runnable.stop_signal)
            ended = asyncio.ensure_future(process.wait())
            await self._supervisor.wait_briefly(ended, self._runnable.stop_s)
            if not ended.done():
                self._supervisor.console.say(self._runnable.name, "does not stop; killing it")
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await ended
            if self._keeping is not None:
                await asyncio.wait({self._keeping}, timeout=LAST_WORDS_S)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
