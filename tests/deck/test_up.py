"""`tapedeck up`: one command, a whole deck."""

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.embedded.places import free_port
from tests.deck.recording import outcome, send
from tests.deck.run import TAPEDECK, Up, clean_environment, client, gone
from tests.servers import Addresses, clone

PROCESSES = {"web": "tapedeck web", "worker": "dramatiq", "dispatcher": "workers.dispatcher"}
SERVERS = {"postgres": "bin/postgres", "valkey": "valkey-server"}

MakeUp = Callable[..., Up]

pytestmark = pytest.mark.timeout(400)  # processes start slowly where many tests share few cores


async def test_ctrl_c_stops_in_order_and_the_next_run_goes_on(up: MakeUp) -> None:
    first = up()
    credentials = await first.ready()
    assert set(credentials) == {
        "url", "api_key", "ingest_key", "operator_key", "operator", "database_url", "redis_url", "storage_url",
    }  # fmt: skip
    assert set(credentials["operator"]) == {"email", "password"}
    assert stat.S_IMODE((first.home / "credentials.json").stat().st_mode) == 0o600
    for told in (credentials["url"], credentials["api_key"], "curl -sS", "tapedeck send"):
        assert told in first.said()
    async with client(credentials) as http:
        processed, accepted = await send(http), await send(http)
        assert (await outcome(http, processed))["status"] == "ready"

    started = first.tree()
    assert await first.end(signal.SIGINT) == 0
    await gone(started)
    said = first.said()
    stopped = ["stopping", "Valkey is now ready to exit", "database system is shut down", "stopped"]
    assert sorted(stopped, key=said.index) == stopped
    assert "killing it" not in said

    second = up()
    assert await second.ready() == credentials
    async with client(credentials) as http:
        for recording_id in processed, accepted, await send(http):
            assert (await outcome(http, recording_id))["status"] == "ready"


async def test_kill_9_leaves_no_process_and_loses_nothing(up: MakeUp) -> None:
    deck = up()
    async with client(await deck.ready()) as http:
        first = await send(http)
    started = deck.tree()
    await deck.end(signal.SIGKILL)
    await gone(started)

    deck = up()
    async with client(await deck.ready()) as http:
        second = await send(http)
    started = deck.tree()
    for process in [*started, psutil.Process(deck.process.pid)]:
        process.kill()
    await deck.end()
    await gone(started)

    deck = up()
    async with client(await deck.ready()) as http:
        for recording_id in first, second:
            assert (await outcome(http, recording_id))["status"] == "ready"


async def test_a_home_in_use_is_refused_and_whatever_is_killed_starts_again(up: MakeUp) -> None:
    deck = up()
    credentials = await deck.ready()
    said = refused(TAPEDECK_HOME=str(deck.home), PORT=str(free_port()))
    assert f"is in use by process {deck.process.pid}" in said
    for name, mark in (PROCESSES | SERVERS).items():
        killed = deck.named(mark)
        family = killed.children(recursive=True)
        killed.kill()
        await gone([killed, *family])
        await deck.until(lambda mark=mark: deck.has(mark))
        assert f"{name:<10} | was ended by SIGKILL; starting it again" in deck.said()
    async with client(credentials) as http:
        await deck.until(lambda: _answers(credentials["url"]))
        assert (await outcome(http, await send(http)))["status"] == "ready"


async def test_ctrl_c_while_it_starts_leaves_nothing(up: MakeUp) -> None:
    deck = up()
    await deck.until(lambda: "migrating" in deck.said())
    started = deck.tree()
    assert await deck.end(signal.SIGINT) == 0
    await gone(started)


async def test_two_decks_run_side_by_side(up: MakeUp) -> None:
    one, other = up("one"), up("other", free_port())
    first, second = await one.ready(), await other.ready()
    assert first["url"] != second["url"]
    async with client(first) as http:
        recording_id = await send(http)
    async with client(second | {"url": first["url"]}) as http:
        assert (await http.get("/api/v1/recordings")).status_code == 401
    async with client(second) as http:
        assert (await http.get(f"/api/v1/recordings/{recording_id}")).status_code == 404


def test_a_port_in_use_is_one_clear_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 is in use" in refused(
            TAPEDECK_HOME=str(folder / "home"), PORT=str(port)
        )


@pytest.mark.parametrize(
    "wrong", [{"PORT": "none"}, {"TAPEDECK_LEASE_S": "0"}, {"STORAGE_URL": "ftp://x"}], ids=str
)
def test_a_wrong_setting_is_one_clear_line(folder: Path, wrong: dict[str, str]) -> None:
    said = refused(**({"TAPEDECK_HOME": str(folder / "home"), "PORT": str(free_port())} | wrong))
    assert next(iter(wrong)) in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_clear_line(folder: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=711", "tapedeck", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        assert "the disk is full" in refused(TAPEDECK_HOME=str(folder / "home"), PORT=str(free_port()))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root has folders that nobody else may enter")
async def test_root_may_keep_a_home_where_nobody_else_may_enter(up: MakeUp, folder: Path) -> None:
    folder.chmod(0o700)
    deck = up()
    async with client(await deck.ready()) as http:
        recording_id = await send(http)
        await outcome(http, recording_id)
    assert await deck.end() == 0
    again = up()
    async with client(await again.ready()) as http:
        assert (await outcome(http, recording_id))["status"] == "ready"


async def test_given_servers_are_used_and_nothing_is_embedded(
    up: MakeUp, servers: Addresses, folder: Path
) -> None:
    given = {
        "DATABASE_URL": clone(servers, "given_servers"),
        "REDIS_URL": servers.redis(63),
        "STORAGE_URL": (folder / "elsewhere").as_uri(),
        "TAPEDECK_SECRET_KEY": "a secret key that only tests know, long enough",
    }
    deck = up(**given)
    credentials = await deck.ready()
    assert {name: credentials[name.lower()] for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL")} == {
        name: url for name, url in given.items() if name.endswith("URL")
    }
    assert not any(
        mark in " ".join(process.cmdline()) for process in deck.tree() for mark in SERVERS.values()
    )
    async with client(credentials) as http:
        assert (await outcome(http, await send(http)))["status"] == "ready"


def test_without_a_secret_key_given_servers_are_refused(folder: Path) -> None:
    urls = {"DATABASE_URL": "postgresql://x/y", "REDIS_URL": "redis://x", "STORAGE_URL": "file:///x"}
    said = refused(TAPEDECK_HOME=str(folder / "home"), PORT=str(free_port()), **urls)
    assert "TAPEDECK_SECRET_KEY" in said


def test_a_release_prints_the_first_keys_once(servers: Addresses) -> None:
    environment = clean_environment(DATABASE_URL=clone(servers, "first_release"))
    first, second = (
        subprocess.run([TAPEDECK, "migrate"], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert "tdk_" in first.stdout
    assert "tdk_" not in second.stdout


def refused(**environment: str) -> str:
    """What `tapedeck up` says when it ends at once: one line, and status 2."""
    done = subprocess.run(
        [TAPEDECK, "up"],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    assert done.returncode == 2, said
    assert len(done.stderr.strip().splitlines()) == 1, said
    assert "Traceback" not in said
    return said


def _answers(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
