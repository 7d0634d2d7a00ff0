"""Ingesting live sessions: batches of 50 events, some 40 kB, per second; and what long sessions and many sessions do to that.

One web process each, all on one Postgres with the settings that `tapedeck up` gives it, and four kept connections of one light
client (`benchmarks.ingest_load`) on the same cores. Each connection sends the batches of one session, then of another; no two
batches are alike. `benchmarks.ingest_servers` says what ours is compared with. Nobody processes what was ingested.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import asyncpg

from app.ingest import PATH
from benchmarks import accept_servers, ingest_servers
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Options, Role, Target
from benchmarks.ingest_batches import batch, session_name, template
from benchmarks.ingest_load import Load
from benchmarks.under_load import CLIENT_CPU, MEASURES, Server, post, running_server, stored, under_load
from models.job import JobKind
from models.recording import Source
from tests.deck import Deck
from tests.servers import Addresses

CONNECTIONS = 4
SECONDS = 3.0
BATCHES = 25  # of a session, where its length does not matter
LONG = 2000
LOOKED_AT = 200  # batches, of a session's first and of its last
OPEN_SESSIONS = 100_000
LONG_S = 600.0  # that they take at most
WITHIN_A_FIFTH = 0.8

EMPTY = "TRUNCATE recording, payload, batch, job, usual_event, floor_payload CASCADE"
OPEN = f"""
    WITH opened AS (
        INSERT INTO recording (id, tenant_id, project_id, user_id, source, status, started_at, has_video, has_audio,
                               navigations, warnings, masked, session_id, fingerprint, is_open)
        SELECT gen_random_uuid(), tenant.id, project.id, user_account.id, '{Source.STREAM}', 'uploading', now(), false,
               false, '[]', '[]', '{{}}', 'open_' || number, 'open_' || number, true
        FROM tenant, project, user_account, generate_series(1, $1) AS number
        RETURNING id, tenant_id
    ), first AS (
        SELECT id, tenant_id, nextval('batch_number') AS number FROM opened
    ), noted AS (
        INSERT INTO batch (recording_id, number, digest, size, total)
        SELECT id, number, sha256(uuid_send(id)), 40000, 40000 FROM first
    ), stored AS (
        INSERT INTO payload (recording_id, batch, chunk, data) SELECT id, number, 0, sha256(uuid_send(id)) FROM first
    )
    INSERT INTO job (id, kind, tenant_id, recording_id, due_at, ring_at)
    SELECT gen_random_uuid(), '{JobKind.CLOSE}', tenant_id, id, now() + interval '30 minutes',
           now() + interval '30 minutes'
    FROM first
"""  # constants only


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How fast live sessions are ingested, however long and however many they are."""
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as name:
        folder = Path(name)
        for comparisons in (_stacks, _long_sessions, _many_sessions):
            async for comparison in comparisons(servers, folder, options):
                yield comparison


async def _stacks(servers: Addresses, folder: Path, options: Options) -> AsyncIterator[Comparison]:
    """Ours and the usual ones."""
    async with AsyncExitStack() as stack:
        deck = await stack.enter_async_context(running_deck(servers, "web", database="ingest"))
        payload = stack.enter_context(stored(batch(template(), session_name("floor", 0), 0)))
        url, others = deck.database_url, "benchmarks.ingest_servers"
        each = running_server(others, "each", url, path=ingest_servers.PATH)
        together = running_server(others, "together", url, path=ingest_servers.PATH)
        floor = running_server("benchmarks.accept_servers", "floor", url, payload, path=accept_servers.PATH)
        contenders = []
        for who, role, server in (
            ("Tapedeck", Role.OURS, web_of(deck)),
            ("FastAPI, execute", Role.USUAL, await stack.enter_async_context(each)),
            ("FastAPI, add_all", Role.USUAL, await stack.enter_async_context(together)),
            ("one INSERT", Role.FLOOR, await stack.enter_async_context(floor)),
        ):
            sender = Sender(deck, server, folder, options)

            async def repetition(sender: Sender = sender) -> Figures:
                await _execute(url, EMPTY)
                await _execute(url, "CHECKPOINT")
                return await sender.send_for_a_while()

            contenders.append(Contender(who, role, repetition))
        yield Comparison(
            "batches of 50 events",
            [*MEASURES, CLIENT_CPU],
            contenders,
            targets=[Target("rate", "FastAPI, execute", at_least=5)],
        )


async def _long_sessions(servers: Addresses, folder: Path, options: Options) -> AsyncIterator[Comparison]:
    """Four sessions that have many batches already, and four that begin."""
    looked_at = 10 if options.quick else LOOKED_AT
    grown = 20 if options.quick else LONG - looked_at
    async with running_deck(servers, "web", database="ingest_long") as deck:
        sender = Sender(deck, web_of(deck), folder, options)
        await sender.send_once("long", 0, grown)
        ends, fresh = count(grown, looked_at), count()

        async def last() -> Figures:
            begin = next(ends)
            return await sender.send_once("long", begin, begin + looked_at)

        async def first() -> Figures:
            return await sender.send_once(f"new{next(fresh)}", 0, looked_at)

        yield Comparison(
            f"a session that has {grown:,} batches",
            MEASURES,
            [
                Contender(f"{looked_at} more", Role.OURS, last),
                Contender(f"the first {looked_at}", Role.FLOOR, first),
            ],
            targets=[Target("rate", f"the first {looked_at}", at_least=WITHIN_A_FIFTH)],
            warm_up=False,
        )


async def _many_sessions(servers: Addresses, folder: Path, options: Options) -> AsyncIterator[Comparison]:
    """Two decks, one of which has many sessions that are open; each with its dispatcher, which looks for what is due."""
    sessions = 1000 if options.quick else OPEN_SESSIONS
    async with AsyncExitStack() as stack:
        senders = {}
        for name in ("ingest_full", "ingest_empty"):
            deck = await stack.enter_async_context(running_deck(servers, "web", "dispatcher", database=name))
            senders[name] = Sender(deck, web_of(deck), folder, options)
            if name == "ingest_full":
                await _execute(deck.database_url, OPEN, sessions)
                await _execute(deck.database_url, "CHECKPOINT")
        yield Comparison(
            f"{sessions:,} open sessions",
            MEASURES,
            [
                Contender("beside them", Role.OURS, senders["ingest_full"].send_for_a_while),
                Contender("an empty deck", Role.FLOOR, senders["ingest_empty"].send_for_a_while),
            ],
            targets=[Target("rate", "an empty deck", at_least=WITHIN_A_FIFTH)],
        )


class Sender:
    """The client, and a server that it sends to."""

    def __init__(
        self, deck: Deck, server: Server, folder: Path, options: Options, connections: int = CONNECTIONS
    ) -> None:
        self._server = server
        self._connections = connections
        self._request = folder / str(server.port)
        self._request.write_bytes(post(server.path, deck.keys.ingest_key, template()))
        self._seconds = 0.2 if options.quick else SECONDS
        self._runs = count()

    async def send_for_a_while(self) -> Figures:
        """Sessions that nobody had, one after the other on each connection."""
        return await self._send(self._seconds, f"run{next(self._runs)}", 0, BATCHES)

    async def send_once(self, sessions: str, first: int, end: int) -> Figures:
        """These batches of as many sessions as there are connections."""
        return await self._send(LONG_S, sessions, first, end, once=True)

    async def _send(
        self, seconds: float, sessions: str, first: int, end: int, *, once: bool = False
    ) -> Figures:
        load = Load(
            self._server.port, str(self._request), self._connections, seconds, sessions, first, end, once
        )
        return await under_load(self._server, "benchmarks.ingest_load", load)


def web_of(deck: Deck) -> Server:
    """The door of a deck."""
    return Server(int(deck.url.rpartition(":")[2]), deck.pids("web"), PATH)


async def _execute(database_url: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
