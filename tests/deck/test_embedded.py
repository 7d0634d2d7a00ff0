"""The private Postgres and Valkey."""

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from app.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedValkey
from app.embedded.lock import InUse
from tests.deck.run import gone, pid_said_by, python

# Starts a server in argv[2], says its pid, and waits to be killed.
STARTER = """
import sys, time
from pathlib import Path
import app.embedded
server = getattr(app.embedded, sys.argv[1])(Path(sys.argv[2]))
server.prepare()
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder / "postgres") as postgres:
        yield postgres


@pytest.fixture
def valkey(folder: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(folder / "valkey") as valkey:
        yield valkey


def stranger_of(postgres: EmbeddedPostgres) -> subprocess.Popen[bytes]:
    """A process that has nothing to do with it, but the same user."""
    return subprocess.Popen(["sleep", "600"], user=postgres.account and postgres.account.uid)


async def ask(postgres: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(postgres.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_postgres_keeps_what_it_acknowledged_when_it_is_killed(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres, "SHOW fsync") == "on"
    assert await ask(postgres, "SHOW synchronous_commit") == "on"
    await ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    postgres.restart()
    assert await ask(postgres, "SELECT answer FROM kept") == 42


async def test_valkey_keeps_its_keys_and_never_evicts_any(valkey: EmbeddedValkey) -> None:
    async with Redis.from_url(valkey.url) as redis:
        await redis.set("kept", "42")
        assert (await redis.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
        assert (await redis.config_get("appendonly"))["appendonly"] == "yes"
    valkey.restart()
    async with Redis.from_url(valkey.url) as redis:
        assert await redis.get("kept") == b"42"


async def test_nobody_gets_in_without_the_password(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace("tapedeck:", "tapedeck:not"))
    async with Redis.from_url(valkey.url.replace("redis://:", "redis://:not")) as redis:
        with pytest.raises(AuthenticationError):
            await redis.ping()
    for server in postgres, valkey:
        assert stat.S_IMODE((server.folder / "server.json").stat().st_mode) == 0o600
        assert all(
            connection.laddr.ip == "127.0.0.1"
            for connection in psutil.Process(server.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        )


@pytest.mark.skipif(os.getuid() != 0, reason="only root drops its rights")
def test_roots_servers_run_as_an_ordinary_user(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    for server in postgres, valkey:
        assert 0 not in psutil.Process(server.pid).uids()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_a_port_is_kept_until_somebody_else_takes_it(
    kind: type[EmbeddedPostgres] | type[EmbeddedValkey], folder: Path
) -> None:
    with kind(folder / "server") as first:
        port = first.port
    with kind(folder / "server") as second:
        assert second.port == port
    taker = EmbeddedValkey(folder / "taker")
    taker.prepare()
    known = taker.folder / "server.json"
    known.write_text(json.dumps(json.loads(known.read_text()) | {"port": port}))
    with taker, kind(folder / "server") as third:
        assert taker.port == port
        assert third.port != port


async def test_a_pid_file_that_names_a_stranger_does_not_stop_postgres(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres")
    with postgres:
        pid_file = postgres.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        postgres.kill()
        with stranger_of(postgres) as stranger:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            postgres.restart()
            stranger.kill()
        assert await ask(postgres, "SELECT 1") == 1


async def test_a_pid_file_that_names_the_dead_does_not_stop_postgres(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres")
    with postgres:
        pid_file = postgres.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        postgres.kill()
        with stranger_of(postgres) as zombie:
            zombie.kill()
            while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)
            pid_file.write_text("\n".join([str(zombie.pid), *lines[1:]]) + "\n")
            postgres.restart()
        assert await ask(postgres, "SELECT 1") == 1


async def test_a_first_start_that_was_cut_short_is_begun_again(folder: Path) -> None:
    half = folder / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder / "postgres") as postgres:
        assert await ask(postgres, "SELECT 1") == 1


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
async def test_a_server_dies_with_its_parent_and_starts_again(
    kind: type[EmbeddedPostgres] | type[EmbeddedValkey], folder: Path
) -> None:
    with python(STARTER, kind.__name__, str(folder / "server")) as parent:
        server = await pid_said_by(parent)
        family = [server, *server.children(recursive=True)]
        parent.kill()
        await gone(family)
    with kind(folder / "server") as again:
        assert again.pid != server.pid


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
        EmbeddedPostgres(postgres.folder).command()


def test_a_server_that_cannot_start_says_why_in_one_line(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres", settings={"max_connections": "none"})
    with pytest.raises(EmbeddedError, match=r"FATAL.*max_connections") as refusal, postgres:
        pass
    assert "\n" not in str(refusal.value)
