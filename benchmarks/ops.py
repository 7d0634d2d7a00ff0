"""What operators' answers and pages cost when a million jobs are due: at most three times what they cost when a thousand are; what
pages cost that are left open; and what conservation and rates cost, which count what there is, when that is much.

Both decks have a web process, which is asked over HTTP; beside what is due, a hundred jobs are dead, older than the others, and
as many wait for a retry. The statements' plans, as Postgres makes them for a million, must read no jobs from end to end.
"""

import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from benchmarks import ops_pages
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role, Target
from benchmarks.ops_plans import FINGERPRINT, check_plans
from models.filters import Wanted
from tests.deck import Deck
from tests.factories import upload
from tests.servers import Addresses

FEW, MANY = 1000, 1_000_000
MOST = 3
ASKED = 20  # times in a repetition
A_DAY = 200_000  # recordings accepted in it
DAYS = 5
ENDED_AN_HOUR = 1_000_000  # attempts
AT_MOST_MS = 1000
ROOT = "/api/v1/ops"
COUNTED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "conservation of a busy day": (f"{ROOT}/conservation", {"hours": 24, "days": 1}),
    "conservation of busy days": (f"{ROOT}/conservation", {"hours": 24, "days": 31}),
    "rates of a busy hour": (f"{ROOT}/rates", {}),
    "page: overview of a busy day": ("/ops", {}),
    "page: conservation of busy days": ("/ops/conservation", {}),
}
VIEWERS_MOST = 500  # ms of CPU a second: a quarter of two cores, each for web and Postgres

OWE = """
    INSERT INTO job (id, kind, tenant_id, recording_id, due_at, created_at)
    SELECT uuidv7(), 'process', lpad(to_hex(number % $2 + 1), 32, '0')::uuid, uuidv7(), now(), now()
    FROM generate_series(1, $1::bigint) AS number
"""
FAIL = """
    WITH failed AS (
        INSERT INTO job (id, kind, state, tenant_id, recording_id, claims, attempts, error_code, error, due_at,
                         ring_at, created_at)
        SELECT uuidv7(interval '-1 day'), 'process', $1, lpad(to_hex(number % $2 + 1), 32, '0')::uuid, uuidv7(), 1, 1,
               'no_valid_events', 'None of the events is valid', now() + interval '1 hour', now() + interval '1 hour', now() - interval '1 day'
        FROM generate_series(1, 100) AS number RETURNING *
    )
    INSERT INTO attempt (job_id, number, tenant_id, recording_id, kind, started_at, ended_at, outcome, error_code, fingerprint)
    SELECT id, 1, tenant_id, recording_id, kind, now(), now(), 'bad_input', error_code, $3 FROM failed
"""
ACCEPT = """
    INSERT INTO recording (id, tenant_id, project_id, user_id, source, status, started_at, has_video, has_audio,
                           navigations, warnings, masked, summary, created_at)
    SELECT uuidv7(), tenant.id, project.id, user_account.id, 'upload', 'ready', now(), false, false, '[]', '[]', '{}',
           jsonb_build_object('pages', repeat(md5(number::text), 30)), now() - number * interval '1 day' / $1
    FROM tenant, project, user_account, generate_series(1, $1::bigint * $2) AS number
    WHERE project.tenant_id = tenant.id AND user_account.tenant_id = tenant.id
"""
TALLY = """
    INSERT INTO accepted_tally (hour, tenant_id, shard, accepted)
    SELECT date_trunc('hour', created_at, 'UTC'), tenant_id, 0, count(*) FROM recording GROUP BY 1, 2
"""
END = """
    WITH ended AS (
        INSERT INTO attempt (job_id, number, tenant_id, recording_id, kind, due_at, started_at, ended_at, outcome)
        SELECT uuidv7(), 1, uuidv7(), uuidv7(), 'process', at - interval '9 ms', at - interval '5 ms', at, 'done'
        FROM (SELECT now() - number * interval '1 hour' / $1 AS at FROM generate_series(1, $1::bigint) AS number) AS hour
        RETURNING ended_at, kind, outcome
    )
    INSERT INTO attempt_tally (minute, kind, outcome, shard, attempts)
    SELECT date_trunc('minute', ended_at, 'UTC'), kind, outcome, 0, count(*) FROM ended GROUP BY 1, 2, 3
"""


TENANTS = """
    INSERT INTO tenant (id, name)
    SELECT lpad(to_hex(number), 32, '0')::uuid, 'Tenant ' || number FROM generate_series(1, 10000) AS number
"""
ACCEPTED = """
    INSERT INTO accepted_tally (hour, tenant_id, shard, accepted)
    SELECT date_trunc('hour', now()) - make_interval(hours => 12 * number), tenant.id, 0, 100
    FROM tenant, generate_series(0, 59) AS number
"""


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """Each of the operators' answers, a thousand times as many jobs."""
    many = MANY // (100 if options.quick else 1)
    with private_servers() as servers:
        for tenants in (1, 10_000):
            async with AsyncExitStack() as stack:
                decks = [
                    await stack.enter_async_context(_asked(servers, jobs, tenants)) for jobs in (FEW, many)
                ]
                for name in decks[0].questions:
                    yield Comparison(
                        f"{name}, {tenants:,} tenant{'s'[: tenants - 1]}",
                        [Measure("time", "ms", higher_is_better=False)],
                        [
                            Contender(f"{many:,} due", Role.OURS, partial(decks[1].ask, name)),
                            Contender(f"{FEW:,} due", Role.FLOOR, partial(decks[0].ask, name)),
                        ],
                        targets=[Target("time", f"{FEW:,} due", at_least=1 / MOST)],
                        rounds=3,
                    )
                yield Comparison(
                    f"{ops_pages.VIEWERS} open overviews, {tenants:,} tenant{'s'[: tenants - 1]}",
                    ops_pages.MEASURES,
                    [
                        Contender(f"{many:,} due", Role.OURS, decks[1].watch),
                        Contender(f"{FEW:,} due", Role.FLOOR, decks[0].watch),
                    ],
                    targets=[Target(each.name, at_most=VIEWERS_MOST) for each in ops_pages.MEASURES],
                    rounds=3,
                    warm_up=False,
                )
        async for comparison in _counted(servers, shrink=100 if options.quick else 1):
            yield comparison


async def _counted(servers: Addresses, *, shrink: int) -> AsyncIterator[Comparison]:
    """What is counted for who asks, when there is much of it: recordings of a day, and of five; attempts of an hour."""
    async with (
        running_deck(servers, "web", database="ops_counted") as deck,
        _client(deck, deck.keys.operator_key) as ops,
        ops_pages.signed_in(deck) as browser,
    ):
        connection = await asyncpg.connect(deck.database_url)
        await connection.execute(ACCEPT, A_DAY // shrink, DAYS, timeout=600)
        await connection.execute(TALLY)
        await connection.execute(END, ENDED_AN_HOUR // shrink, timeout=600)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
        asked = Asked(deck, ops, browser, UUID(int=1), "", "")
        asked.questions.update(COUNTED)
        for name in COUNTED:
            yield Comparison(
                name,
                [Measure("time", "ms", higher_is_better=False)],
                [Contender("Tapedeck", Role.OURS, partial(asked.ask, name))],
                targets=[Target("time", at_most=AT_MOST_MS)],
                rounds=3,
            )


class Asked:
    """A deck with many jobs, and the questions that are asked of it."""

    def __init__(
        self,
        deck: Deck,
        client: httpx.AsyncClient,
        browser: httpx.AsyncClient,
        tenant: UUID,
        recording: str,
        job: str,
    ) -> None:
        self._deck = deck
        self._client = client
        self._browser = browser
        jobs = f"{ROOT}/jobs"
        dry = {"dry_run": True}
        self.questions: dict[str, tuple[str, Mapping[str, Any]]] = {
            "overview": (f"{ROOT}/overview", {}),
            "jobs": (jobs, {}),
            **{f"jobs: {state}": (jobs, {"state": state.value}) for state in Wanted},
            "jobs: kind": (jobs, {"kind": "process"}),
            "jobs: kind, none": (jobs, {"kind": "mask"}),
            "jobs: tenant": (jobs, {"tenant_id": str(tenant)}),
            "jobs: tenant, due": (jobs, {"tenant_id": str(tenant), "state": "due"}),
            "jobs: recording": (jobs, {"recording_id": recording}),
            "jobs: error": (jobs, {"error_code": "no_valid_events"}),
            "jobs: error text": (jobs, {"error": "IS VALID"}),
            "jobs: error text, dead": (jobs, {"error": "IS VALID", "state": "dead"}),
            "jobs: error text, none": (jobs, {"error": "100%"}),
            "jobs: worker": (jobs, {"worker": "worker-1:4711"}),
            "jobs: tenant, dead": (jobs, {"tenant_id": str(tenant), "state": "dead"}),
            "jobs: fingerprint": (jobs, {"fingerprint": FINGERPRINT}),
            "jobs: age": (jobs, {"older_than_s": 43200}),
            "job": (f"{jobs}/{job}", {}),
            "life": (f"{ROOT}/recordings/{recording}", {}),
            **{each: (f"{ROOT}/{each}", {}) for each in ("failures", "workers", "actions", "audit", "rates")},
            "conservation": (f"{ROOT}/conservation", {}),
            "tenants": (f"{ROOT}/tenants", {}),
            "tenants: backlog": (f"{ROOT}/tenants", {"sort": "backlog"}),
            "tenants: found": (f"{ROOT}/tenants", {"q": "TENANT 77"}),
            "tenant": (f"{ROOT}/tenants/{tenant}", {}),
            "retry: dead": ("", {"verb": "retry", "filter": {"state": "dead"}, **dry}),
            "retry: kind": ("", {"verb": "retry", "filter": {"kind": "process"}, **dry}),
            "retry: tenant": ("", {"verb": "retry", "filter": {"tenant_id": str(tenant)}, **dry}),
            "discard: error": ("", {"verb": "discard", "filter": {"error_code": "no_valid_events"}, **dry}),
            "discard: error text": ("", {"verb": "discard", "filter": {"error": "IS VALID"}, **dry}),
            "discard: due": ("", {"verb": "discard", "filter": {"state": "due"}, **dry}),
            "discard: age": ("", {"verb": "discard", "filter": {"older_than_s": 43200}, **dry}),
            **ops_pages.pages_of(str(tenant), recording, job),
        }

    async def ask(self, name: str) -> Figures:
        """The median of the milliseconds that an answer takes."""
        path, values = self.questions[name]
        took = []
        for _ in range(ASKED):
            began = time.perf_counter()
            if path:
                client = self._client if path.startswith(ROOT) else self._browser
                answer = await client.get(path, params=values, follow_redirects=True)
            else:
                answer = await self._client.post(f"{ROOT}/actions", json=values)
            took.append(time.perf_counter() - began)
            assert answer.status_code == httpx.codes.OK, f"{name}: {answer.text}"
        return {"time": statistics.median(took) * 1000}

    async def watch(self) -> Figures:
        """What overviews cost that are left open."""
        return await ops_pages.watch(self._deck, self._browser)


@asynccontextmanager
async def _asked(servers: Addresses, jobs: int, tenants: int) -> AsyncIterator[Asked]:
    """A deck where so many jobs are due, of so many tenants; its web process has counted them."""
    name = f"ops_{jobs}_{tenants}"
    async with (
        running_deck(servers, "web", database=name) as deck,
        _client(deck, deck.keys.operator_key) as ops,
        ops_pages.signed_in(deck) as browser,
    ):
        async with _client(deck, deck.keys.api_key) as client:
            recording = (await client.post("/api/v1/recordings", content=upload())).json()["id"]
        await _fill(deck, jobs, tenants)
        if jobs > FEW:
            await check_plans(deck.database_url, many=jobs == MANY)
        counted = 0
        while counted < jobs:
            counted = sum(queue["due"] for queue in (await ops.get(f"{ROOT}/overview")).json()["queues"])
        (job,) = (await ops.get(f"{ROOT}/jobs", params={"recording_id": recording})).json()["jobs"]
        yield Asked(deck, ops, browser, UUID(int=1), recording, job["id"])


async def _fill(deck: Deck, jobs: int, tenants: int) -> None:
    connection = await asyncpg.connect(deck.database_url)
    await connection.execute(TENANTS)
    await connection.execute(ACCEPTED)
    for state in ("dead", "due"):
        await connection.execute(FAIL, state, tenants, FINGERPRINT)
    await connection.execute(OWE, jobs, tenants)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _client(deck: Deck, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=deck.url, headers=headers, timeout=60, trust_env=False)
