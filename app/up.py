"""`tapedeck up`: a whole deck on this machine, for as long as the command runs."""

import asyncio
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx

import settings
from app.console import Console
from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.embedded.places import free_port, port_is_free
from app.embedded.server import Server
from app.exits import Exit
from app.home import Credentials, Home
from app.supervisor import Ended, Program, Supervisor, read_procfile
from settings import HomeSettings, SettingsError

PROCFILE = Path(__file__).resolve().parent.parent / "Procfile"
EXAMPLES = PROCFILE.parent / "tests" / "fixtures" / "recordings"
STOP_ORDER = ("web", "dispatcher", "worker", "valkey", "postgres")
STOP_S = {"web": 12.0, "worker": 30.0}  # others: Program's default
ASK_EVERY_S = 0.1
METRICS_BEYOND = 1000  # web at 8000: the metrics of the others from 9000 on
MOST_PORT = 65000
ONE_PRESS_S = 0.5  # a terminal and a wrapper may both pass on the same Ctrl-C
REPORT_EVERY_S = 10.0
EXAMPLE = (
    '{"started_at": "2026-05-04T10:00:00Z", "events": ['
    '{"type": 4, "data": {"href": "https://example.com/", "width": 1280, "height": 720}, "timestamp": 1777888800000}, '
    '{"type": 2, "data": {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}}, '
    '"timestamp": 1777888800001}]}'
)

log = logging.getLogger("tapedeck")


def command() -> None:
    """Run a deck: the processes of the Procfile, and the servers that DATABASE_URL, REDIS_URL, STORAGE_URL do not name."""
    configured = settings.load_home()
    console = Console()
    log.addHandler(console.handler("tapedeck"))
    log.setLevel(logging.INFO)
    try:
        home = Home(configured.home)
        try:
            deck = Deck(configured, home, console)
            asyncio.run(deck.run())
        finally:
            home.close()
    except OSError as error:
        raise Exit(f"{error.filename or configured.home}: {error.strerror}", 2) from error
    finally:
        console.close()


class Deck:
    """Everything that one `tapedeck up` runs. Making one prepares the servers and checks the settings."""

    def __init__(self, configured: HomeSettings, home: Home, console: Console) -> None:
        port = configured.port or free_port()
        try:
            free = port_is_free(port, configured.host)
        except OSError as error:
            raise Exit(
                f"cannot listen on {configured.host}: {error.strerror}; set HOST to an address of this machine",
                2,
            ) from error
        if not free:
            raise Exit(f"port {port} of {configured.host} is in use: set PORT to another", 2)
        self.home = home
        self.console = console
        given = configured.database_url and configured.redis_url and configured.storage_url
        secret_key = configured.secret_key or (None if given else home.secret_key())
        if secret_key is None:
            raise SettingsError("TAPEDECK_SECRET_KEY: is not set")
        _check(configured, secret_key)
        self.servers: list[Server] = []
        self.urls = (
            configured.database_url or self._embed(EmbeddedPostgres(home.path / "postgres")),
            configured.redis_url or self._embed(EmbeddedValkey(home.path / "valkey")),
            configured.storage_url or home.objects_url(),
        )
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(configured.host, configured.host)  # noqa: S104
        self.local_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.url = (configured.public_url or self.local_url).rstrip("/")
        metrics_port = configured.metrics_port
        if metrics_port is None:
            metrics_port = port + METRICS_BEYOND if port + METRICS_BEYOND <= MOST_PORT else 0
        self.environment = _environment(self.urls, configured.host, port, metrics_port, secret_key, home)
        if elsewhere := [str(server.data) for server in self.servers if server.is_elsewhere]:
            log.info("only root may enter %s: data is in %s", home.path, " and ".join(elsewhere))

    def _embed(self, server: Server) -> str:
        server.prepare()
        self.servers.append(server)
        return server.url

    async def run(self) -> None:
        """Live until SIGINT or SIGTERM, then stop in order; a second one hurries. Raises Exit when it cannot live."""
        supervisor = Supervisor(self.console)
        life = asyncio.ensure_future(self._live(supervisor))
        first_told = 0.0

        def told_to_stop() -> None:
            nonlocal first_told
            if not first_told:
                log.info("stopping; once more to hurry")
                first_told = time.monotonic()
                life.cancel()
            elif time.monotonic() - first_told > ONE_PRESS_S:
                supervisor.hurry()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
        try:
            await life
        except asyncio.CancelledError:
            pass
        except Ended as error:
            raise Exit(f"stopped, because {error}", error.status if error.status > 0 else 1) from error
        finally:
            await supervisor.stop(STOP_ORDER)
        log.info("stopped")

    async def _live(self, supervisor: Supervisor) -> None:
        for server in self.servers:
            log.info("starting %s", server.name)
            await supervisor.start(server)
        programs = read_procfile(PROCFILE)
        fds = (self.home.lock.fd,)
        if release := programs.pop("release", None):
            log.info("migrating")
            await supervisor.run(Program("release", release, self.environment, fds=fds))
        log.info("starting %s", ", ".join(programs))
        for name, argv in programs.items():
            await supervisor.start(
                Program(name, argv, self.environment, stop_s=STOP_S.get(name, Program.stop_s), fds=fds)
            )
        ready = asyncio.ensure_future(self._wait_until_ready())
        try:
            first: set[asyncio.Future[None] | asyncio.Future[Ended]] = {ready, supervisor.misconfigured}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not ready.done() or ready.cancelled():
            raise supervisor.misconfigured.result()
        credentials = self.home.write_credentials(
            self.url, self.urls, keys_are_known=await self._keys_are_known()
        )
        self._announce(credentials)
        await asyncio.Event().wait()

    async def _wait_until_ready(self) -> None:
        waited = 0.0
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                problem = "the web process does not answer yet"
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"{self.local_url}/ready")
                    if answer.is_success:
                        return
                    problem = answer.text
                await asyncio.sleep(ASK_EVERY_S)
                waited += ASK_EVERY_S
                if waited >= REPORT_EVERY_S:
                    log.info("not ready yet: %s", problem)
                    waited = 0.0

    async def _keys_are_known(self) -> bool:
        """Do the keys in the home open this deck? Not when the database was begun by another one."""
        if not (keys := self.home.read_first_keys()):
            return False
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(
                f"{self.local_url}/api/v1/recordings?limit=1",
                headers={"Authorization": f"Bearer {keys['api_key']}"},
            )
        return answer.status_code != httpx.codes.UNAUTHORIZED

    def _announce(self, credentials: Credentials) -> None:
        if credentials.api_key is None:
            log.info(
                "ready at %s (this database was begun by another deck; its keys are kept there)", self.url
            )
            return
        send = [str(Path(sys.argv[0])), "send", _example()]
        if self.home.path != Path(".tapedeck").absolute():
            send = ["env", f"TAPEDECK_HOME={self.home.path}", *send]
        curl = ["curl", "-sS", f"{self.url}/api/v1/recordings", "-H", "Content-Type: application/json"]
        curl += ["-H", f"Authorization: Bearer {credentials.api_key}", "-d", EXAMPLE]
        for line in (
            "",
            f"Tapedeck is ready at {self.url}",
            f"  API key      {credentials.api_key}",
            f"  all of it    {self.home.path / 'credentials.json'}",
            f"  operators    {self.url}/ops  as {credentials.operator.email}, whose password is in that file",
            "",
            "Send it something:",
            f"  {shlex.join(curl)}",
            f"  {shlex.join(send)}",
            "",
        ):
            self.console.show(line)


def _check(configured: HomeSettings, secret_key: str) -> None:
    """Say what is wrong with the settings before anything is made, and once. Raises SettingsError."""
    settings.load(
        DATABASE_URL=configured.database_url or "postgresql://embedded",
        REDIS_URL=configured.redis_url or "redis://embedded",
        STORAGE_URL=configured.storage_url or "file:///embedded",
        secret_key=secret_key,
    )


def _environment(
    urls: tuple[str, str, str], host: str, port: int, metrics_port: int, secret_key: str, home: Home
) -> Mapping[str, str]:
    here = str(Path(sys.executable).parent)  # so that the Procfile's `python` and `tapedeck` are ours
    return {
        **os.environ,
        "PATH": os.pathsep.join((here, os.environ.get("PATH", os.defpath))),
        "PYTHONUNBUFFERED": "1",
        **dict(zip(("DATABASE_URL", "REDIS_URL", "STORAGE_URL"), urls, strict=True)),
        "HOST": host,
        "PORT": str(port),
        "TAPEDECK_METRICS_PORT": str(metrics_port),
        "TAPEDECK_HOME": str(home.path),
        "TAPEDECK_SECRET_KEY": secret_key,
        "TAPEDECK_FIRST_KEYS": str(home.first_keys),
    }


def _example() -> str:
    """A recording to send: one of the checkout's, else a name to replace."""
    found = sorted(EXAMPLES.glob("*.json*")) if EXAMPLES.is_dir() else []
    return os.path.relpath(found[0]) if found else "recording.json"
