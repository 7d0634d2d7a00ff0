"""Run a command that dies with the process that started it, even when that one dies by SIGKILL.

`command()` wraps an argv; the wrapped one runs this file as a script, in an interpreter of its own, which drops
privileges when told to and then

- on Linux asks the kernel for a signal at its parent's death (`prctl(2)`, PR_SET_PDEATHSIG; a change of user
  clears the request, hence the order) and execs the command: same pid, nothing in between. The kernel takes the
  *thread* that started the command for its parent, so start it from one that lives as long as the process;
- elsewhere, given a pipe, stays as the command's parent, passes signals on, and watches a pipe whose other end only the starting
  process holds: end of file means that it is gone. Without one (make has none) the command is not held.

Give every command a session of its own (`start_new_session=True`), so that its process group is what must end.
"""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
GRACE_S = (
    10.0  # between the signal that a parent's death sends and SIGKILL, where the kernel does not send it
)
SHELL_SIGNALLED = 128  # a shell's exit status for "ended by signal n" is 128 + n


class Account(NamedTuple):
    """The ordinary user that root's servers run as."""

    uid: int
    gid: int


class Leashed(NamedTuple):
    """What to start: argv, the descriptors it inherits (`pass_fds`), its environment and its working directory."""

    argv: list[str]
    fds: tuple[int, ...]
    env: Mapping[str, str] | None = None  # None: ours
    cwd: str | None = None


def command(
    argv: Sequence[str],
    *,
    at_parents_death: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    by_kernel: bool = sys.platform == "linux",
) -> Leashed:
    """`argv` on a leash held by this process. `by_kernel` says whether the kernel holds it, or a pipe."""
    held = () if by_kernel else (_pipe()[0],)
    user = f"{account.uid}:{account.gid}" if account else ""
    head = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(at_parents_death)), user]
    return Leashed([*head, str(held[0]) if held else "", *argv], (*fds, *held), env, cwd)


@functools.cache
def _pipe() -> tuple[int, int]:
    return os.pipe()  # neither end is inheritable: only pass_fds hands the reading one on


def main(parent: str, at_parents_death: str, user: str, watched: str, *argv: str) -> int:
    """The script: see the module's docstring. Returns only where it stays as the command's parent."""
    libc = ctypes.CDLL(None, use_errno=True)  # before the user may lose sight of it
    if user:
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if watched:
        return _hold(int(watched), int(at_parents_death), argv)
    if sys.platform == "linux" and libc.prctl(PR_SET_PDEATHSIG, int(at_parents_death), 0, 0, 0) != 0:
        return _complain(argv[0], os.strerror(ctypes.get_errno()))
    if os.getppid() != int(parent):
        return 0  # it died before the kernel knew of us
    try:
        os.execvp(argv[0], argv)  # noqa: S606 (no shell is the point)
    except OSError as error:
        return _complain(argv[0], error.strerror)


def _hold(watched: int, at_parents_death: int, argv: Sequence[str]) -> int:
    os.set_inheritable(watched, False)
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(argv, close_fds=False)  # noqa: S603 (the caller's own command)
    except OSError as error:
        return _complain(argv[0], error.strerror)
    for signal_number in early:
        child.send_signal(signal_number)
    orphaned = threading.Event()

    def watch() -> None:
        os.read(watched, 1)
        orphaned.set()
        child.send_signal(at_parents_death)
        threading.Timer(GRACE_S, os.killpg, (0, signal.SIGKILL)).start()

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    if orphaned.is_set():
        os.killpg(0, signal.SIGKILL)  # nobody else is left to end what the command started
    return status if status >= 0 else SHELL_SIGNALLED - status


def _complain(name: str, problem: str | None) -> int:
    sys.stderr.write(f"{name}: {problem}\n")
    return SHELL_SIGNALLED - 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
