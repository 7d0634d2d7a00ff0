"""Commands that die with the process that started them, held by the kernel and held by a pipe."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app import leash
from tests.deck.run import gone, pid_said_by, python

# Starts, on a leash, a shell with a child of its own, which both wait; says the shell's pid.
STARTER = """
import subprocess, sys, time
from app import leash
leashed = leash.command(["sh", "-c", "sleep 600 & echo $$; wait"], by_kernel=sys.argv[1] == "kernel")
subprocess.Popen(leashed.argv, pass_fds=leashed.fds, start_new_session=True)
time.sleep(600)
"""

HOLDERS = ["pipe", *(["kernel"] if sys.platform == "linux" else [])]


@pytest.mark.parametrize("holder", HOLDERS)
async def test_what_is_on_a_leash_dies_with_its_parent(holder: str) -> None:
    with python(STARTER, holder) as parent:
        shell = await pid_said_by(parent)
        parent.kill()
        await gone([shell])


async def test_a_pipe_also_ends_what_the_command_has_started() -> None:
    with python(STARTER, "pipe") as parent:
        shell = await pid_said_by(parent)
        family = [shell, *shell.children()]
        parent.kill()
        await gone(family)


@pytest.mark.parametrize("holder", HOLDERS)
def test_exit_status_and_signals_pass_through(holder: str) -> None:
    by_kernel = holder == "kernel"
    leashed = leash.command(["sh", "-c", "exit 7"], by_kernel=by_kernel)
    assert subprocess.run(leashed.argv, pass_fds=leashed.fds, check=False).returncode == 7
    script = "trap 'exit 5' TERM; echo waiting; while true; do sleep 0.05; done"
    leashed = leash.command(["sh", "-c", script], by_kernel=by_kernel)
    with subprocess.Popen(leashed.argv, pass_fds=leashed.fds, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 5


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_command_that_is_missing_is_named(holder: str, tmp_path: Path) -> None:
    leashed = leash.command([str(tmp_path / "nothing")], by_kernel=holder == "kernel")
    done = subprocess.run(leashed.argv, pass_fds=leashed.fds, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "nothing: No such file or directory" in done.stderr
