"""`tapedeck doctor` against real servers, whole and broken on purpose."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from app.doctor import installation, postgres, redis
from app.doctor.bucket import judge
from app.doctor.findings import Finding, Findings, State, examine
from app.doctor.postgres import of_clock
from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.embedded.places import free_port
from storage.configuration import BucketConfiguration
from tests.cli.conftest import Said, Tapedeck
from tests.deck import Deck
from tests.deck.processes import SECRET_KEY
from tests.gcs_emulator import Emulator, running_emulator
from tests.servers import Addresses
from tests.storage.objects import files

Examine = Callable[..., Tapedeck]


def states(said: Said) -> dict[str, str]:
    """The worst state of each check."""
    order = ["ok", "warn", "fail"]
    worst: dict[str, str] = {}
    for finding in said.json["findings"]:
        check, state = finding["check"], finding["state"]
        worst[check] = max(worst.get(check, "ok"), state, key=order.index)
    return worst


def says(said: Said, check: str) -> str:
    return "\n".join(found["says"] for found in said.json["findings"] if found["check"] == check)


def environment_of(deck: Deck) -> dict[str, str]:
    names = ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "HOST", "PORT", "TAPEDECK_SECRET_KEY")
    return {name: deck.environment[name] for name in names}


@pytest.fixture
def doctor(deck: Deck, tmp_path: Path) -> Examine:
    """The command in the environment of a healthy deck, with these variables changed."""
    return lambda **changed: Tapedeck(tmp_path, **environment_of(deck) | changed)


async def test_a_healthy_deck_has_no_complaint(deck: Deck, doctor: Examine) -> None:
    before = files(Path(deck.folder / "objects"))
    said = await doctor()("doctor", "--json")
    assert said.err == ""
    assert (said.status, said.json["ok"]) == (0, True)
    found = states(said)
    assert {found.pop(check) for check in ("disk", "redis persistence")} <= {"ok", "warn"}  # this machine's
    assert found == dict.fromkeys(
        ("settings", "secret key", "database", "durability", "migrations", "clock", "redis", "redis policy",
         "storage", "signing", "preflight", "web"), "ok"
    )  # fmt: skip
    assert files(Path(deck.folder / "objects")) == before


async def test_people_get_a_line_for_each_finding(doctor: Examine) -> None:
    said = await doctor(REDIS_URL=f"redis://:secret@127.0.0.1:{free_port()}")("doctor")
    lines = said.out.decode().splitlines()
    assert all(line.startswith(("ok    ", "warn  ", "FAIL  ")) for line in lines)
    (failure,) = (line for line in lines if line.startswith("FAIL"))
    assert "cannot use Redis at redis://127.0.0.1:" in failure
    assert "correct REDIS_URL" in failure
    assert b"secret" not in said.out.replace(b"secret key", b"")
    assert (said.status, said.err) == (1, "")


async def test_the_embedded_deck_is_found_through_its_home(deck: Deck, tmp_path: Path) -> None:
    tapedeck = Tapedeck(tmp_path)
    home = tmp_path / "home"
    said = await tapedeck("doctor", "--json")
    assert (said.status, said.err) == (1, "")
    assert says(said, "settings").count("make up") == 3
    home.mkdir()
    (home / "credentials.json").write_bytes(
        msgspec.json.encode({
            "url": deck.url,
            "database_url": deck.database_url,
            "redis_url": deck.environment["REDIS_URL"],
            "storage_url": deck.storage_url,
        })
    )  # fmt: skip
    (home / "secret_key").write_text(SECRET_KEY)
    said = await tapedeck("doctor", "--json")
    assert said.status == 0
    assert str(home) in says(said, "settings")


def test_a_home_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "TAPEDECK_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAPEDECK_HOME", str(tmp_path))
    (tmp_path / "credentials.json").write_text("[]")
    found = installation.find()
    assert found.problems.keys() == {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "TAPEDECK_SECRET_KEY"}
    assert str(tmp_path) in found.problems["DATABASE_URL"]


async def test_every_wrong_setting_is_told_and_the_rest_examined(doctor: Examine) -> None:
    wrong = doctor(
        TAPEDECK_LEASE_S="soon", REDIS_URL="http://x", TAPEDECK_SECRET_KEY="short", TAPEDECK_LOG_FORMAT="xml"
    )
    said = await wrong("doctor", "--json")
    assert (said.status, said.err) == (1, "")
    told = says(said, "settings")
    for name in ("TAPEDECK_LEASE_S", "REDIS_URL", "TAPEDECK_SECRET_KEY", "TAPEDECK_LOG_FORMAT"):
        assert f"{name}: " in told
    found = states(said)
    assert (found["database"], found["storage"], found["web"]) == ("ok", "ok", "ok")
    assert not found.keys() & {"redis", "signing", "secret key"}


async def test_what_leads_clients_nowhere_or_can_be_guessed_is_told(doctor: Examine) -> None:
    said = await doctor(HOST="0.0.0.0", TAPEDECK_SECRET_KEY="x" * 40)("doctor", "--json")
    assert "set TAPEDECK_PUBLIC_URL" in says(said, "settings")
    assert states(said)["secret key"] == "warn"


async def examined(findings: Findings) -> dict[str, Finding]:
    """What a part of the doctor finds, without a process for it: the worst of each check."""
    order = [State.OK, State.WARN, State.FAIL]
    found = (await examine("?", findings)).findings
    return {finding.check: finding for finding in sorted(found, key=lambda each: order.index(each.state))}


async def test_a_database_that_cannot_be_used_is_one_line(servers: Addresses) -> None:
    for url, told in (
        (f"postgresql://kim:secret@127.0.0.1:{free_port()}/x", "start it"),
        (servers.database("absent"), "does not exist"),
        (servers.database_url.replace("tapedeck:", "tapedeck:wrong"), "password"),
    ):
        found = await examined(postgres.database(url))
        assert found.keys() == {"database"}
        assert found["database"].state == "fail"
        assert told in found["database"].says
        assert "secret" not in found["database"].says


async def test_a_schema_that_is_not_ours_is_told(servers: Addresses, database_url: str) -> None:
    empty = (await examined(postgres.database(servers.database_url)))["migrations"]
    assert (empty.state, "is empty" in empty.says) == ("fail", True)
    connection = await asyncpg.connect(database_url)
    try:
        head = await connection.fetchval("SELECT version_num FROM alembic_version")
        for version, told in (("0000", "run `tapedeck migrate`"), ("9999", "install the newer code")):
            await connection.execute("UPDATE alembic_version SET version_num = $1", version)
            other = (await examined(postgres.database(database_url)))["migrations"]
            assert (other.state, told in other.says) == ("fail", True)
    finally:
        await connection.execute("UPDATE alembic_version SET version_num = $1", head)
        await connection.close()


@pytest.fixture
def folder_for_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("servers")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o711)  # root's servers run as an ordinary user
    return folder


@pytest.fixture
def frail_postgres(folder_for_servers: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres that may lose what it acknowledged."""
    settings = {"fsync": "off", "synchronous_commit": "off", "max_connections": "20"}
    with EmbeddedPostgres(folder_for_servers / "postgres", settings=settings) as postgres:
        yield postgres


async def test_a_database_that_may_lose_commits_fails(
    doctor: Examine, frail_postgres: EmbeddedPostgres
) -> None:
    said = await doctor(DATABASE_URL=frail_postgres.url)("doctor", "--json")
    assert states(said)["durability"] == "fail"
    assert "fsync and synchronous_commit off" in says(said, "durability")
    assert states(said)["database"] == "warn"
    assert "raise max_connections" in says(said, "database")


async def test_a_database_that_hangs_does_not_hold_up_the_rest(
    doctor: Examine, frail_postgres: EmbeddedPostgres
) -> None:
    os.kill(frail_postgres.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(60):
            said = await doctor(DATABASE_URL=frail_postgres.url)("doctor", "--json")
    finally:
        os.kill(frail_postgres.pid, signal.SIGCONT)
    assert (said.status, said.err) == (1, "")
    assert states(said)["database"] == "fail"
    assert states(said)["storage"] == "ok"


@pytest.fixture
def forgetful_valkey(folder_for_servers: Path) -> Iterator[EmbeddedValkey]:
    settings = {"maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    with EmbeddedValkey(folder_for_servers / "valkey", settings=settings) as valkey:
        yield valkey


async def test_a_redis_that_evicts_fails_and_one_that_forgets_is_told(
    doctor: Examine, forgetful_valkey: EmbeddedValkey
) -> None:
    url = forgetful_valkey.url
    said = await doctor(REDIS_URL=url)("doctor", "--json")
    assert said.status == 1
    assert "maxmemory-policy is allkeys-lru: set noeviction" in says(said, "redis policy")
    assert states(said)["redis persistence"] == "warn"
    async with Redis.from_url(url) as client:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("save", "60 1")
        found = await examined(redis.doorbell(url))
        assert {finding.state for finding in found.values()} == {"ok"}
        await client.replicaof("127.0.0.1", str(free_port()))
        assert "read only" in (await examined(redis.doorbell(url)))["redis"].says
    wrong = await examined(redis.doorbell(url.replace("redis://:", "redis://:x")))
    assert wrong["redis"].state == "fail"


async def test_a_secret_key_that_is_not_the_web_process_s_is_told(doctor: Examine) -> None:
    said = await doctor(TAPEDECK_SECRET_KEY="another key, as long as it must be, but not theirs")(
        "doctor", "--json"
    )
    assert said.status == 1
    assert "TAPEDECK_SECRET_KEY" in says(said, "signing")


async def test_a_deck_that_does_not_run_is_no_fault(doctor: Examine) -> None:
    said = await doctor(PORT=str(free_port()))("doctor", "--json")
    assert said.status == 0
    found = states(said)
    assert (found["signing"], found["web"], found["storage"]) == ("warn", "warn", "ok")
    assert "start web" in says(said, "signing")


async def test_a_storage_that_is_not_the_web_process_s_is_told(
    deck: Deck, doctor: Examine, storage_elsewhere: str
) -> None:
    said = await doctor(STORAGE_URL=storage_elsewhere)("doctor", "--json")
    assert "one STORAGE_URL" in says(said, "signing")
    said = await doctor(TAPEDECK_PUBLIC_URL=f"{deck.url}/elsewhere")("doctor", "--json")
    assert "TAPEDECK_PUBLIC_URL" in says(said, "web")
    assert states(said)["signing"] == "fail"


@pytest.fixture
def storage_elsewhere(tmp_path: Path) -> str:
    (tmp_path / "elsewhere" / ".drafts").mkdir(parents=True)
    return (tmp_path / "elsewhere").as_uri()


async def test_origins_that_the_web_process_does_not_know_fail(make_deck: Callable[..., Deck]) -> None:
    deck = make_deck(TAPEDECK_CORS_ORIGINS="https://one.example,chrome-extension://abc")
    await deck.start("web")
    tapedeck = Tapedeck(
        deck.folder, **environment_of(deck), TAPEDECK_CORS_ORIGINS="https://one.example,https://two.example"
    )
    said = await tapedeck("doctor", "--json")
    assert (said.status, states(said)["preflight"]) == (1, "fail")
    assert "lets pages of https://one.example upload" in says(said, "preflight")
    assert "does not let pages of https://two.example upload" in says(said, "preflight")
    assert "TAPEDECK_CORS_ORIGINS" in says(said, "preflight")


async def test_a_folder_that_is_not_there_is_not_made(doctor: Examine, tmp_path: Path) -> None:
    said = await doctor(STORAGE_URL=(tmp_path / "absent").as_uri())("doctor", "--json")
    assert (said.status, states(said)["disk"]) == (1, "fail")
    assert "mount its disk" in says(said, "disk")
    (tmp_path / "empty").mkdir()
    said = await doctor(STORAGE_URL=(tmp_path / "empty").as_uri())("doctor", "--json")
    assert (said.status, states(said)["disk"]) == (0, "warn")
    assert "was never used" in says(said, "disk")
    assert not (tmp_path / "absent").exists()
    assert list((tmp_path / "empty").iterdir()) == []


async def test_a_bucket_is_examined_with_its_own_signed_urls(doctor: Examine, emulator: Emulator) -> None:
    bucket = doctor(STORAGE_URL=emulator.storage_url, STORAGE_EMULATOR_HOST=emulator.host)
    said = await bucket("doctor", "--json")
    found = states(said)
    assert (found["storage"], found["signing"], found["preflight"]) == ("ok", "ok", "ok")
    assert found["CORS"] == "fail"  # the emulator has no CORS of a bucket
    assert "does not let all pages PUT" in says(said, "CORS")


async def test_a_bucket_that_is_not_there_or_away_fails(doctor: Examine) -> None:
    with running_emulator() as emulator:
        absent = doctor(STORAGE_URL="gs://no-such-bucket", STORAGE_EMULATOR_HOST=emulator.host)
        assert "there is no bucket" in says(await absent("doctor", "--json"), "storage")
        away = doctor(STORAGE_URL=emulator.storage_url, STORAGE_EMULATOR_HOST=emulator.host)
        emulator.freeze()
        async with asyncio.timeout(90):
            said = await away("doctor", "--json")
    assert (said.status, said.err) == (1, "")
    assert (states(said)["storage"], states(said)["database"]) == ("fail", "ok")


async def test_credentials_that_are_missing_are_told(doctor: Examine, tmp_path: Path) -> None:
    said = await doctor(
        STORAGE_URL="gs://recordings", GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "absent.json")
    )("doctor", "--json")
    assert said.status == 1
    assert "GOOGLE_APPLICATION_CREDENTIALS" in says(said, "storage")


# A bucket's configuration, as Google tells it; the emulator has none.

CORS = [
    {
        "origin": ["*"],
        "method": ["PUT", "GET", "HEAD"],
        "responseHeader": ["Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag"],
        "maxAgeSeconds": 3600,
    }
]


def judged(origins: Sequence[str] = ("*",), **resource: object) -> dict[str, str]:
    configuration = msgspec.convert({"cors": CORS} | resource, BucketConfiguration, strict=False)
    return {finding.check: finding.state.value for finding in judge(configuration, origins)}


def test_a_bucket_as_the_guide_has_it_is_fine() -> None:
    assert judged() == judged(["https://a.example"]) == {"CORS": "ok", "soft delete": "ok"}


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({"origin": ["*"], "method": ["GET"], "responseHeader": ["*"]}, "fail"),
        ({"origin": ["*"], "method": ["PUT"], "responseHeader": ["*"]}, "fail"),
        ({"origin": ["*"], "method": ["PUT", "GET"]}, "fail"),
        ({"origin": ["https://b.example"], "method": ["*"], "responseHeader": ["*"]}, "fail"),
        ({"origin": ["*"], "method": ["PUT", "GET"], "responseHeader": ["content-type"]}, "warn"),
        ({"origin": ["https://a.example"], "method": ["*"], "responseHeader": ["*"]}, "ok"),
    ],
)
def test_cors_must_let_pages_upload_and_should_let_them_see_ranges(rule: object, state: str) -> None:
    assert judged(["https://a.example"], cors=[rule])["CORS"] == state
    assert judged(["https://a.example"], cors=[])["CORS"] == "fail"


def test_what_keeps_deleted_recordings_is_told() -> None:
    assert judged(softDeletePolicy={"retentionDurationSeconds": "604800"})["soft delete"] == "warn"
    assert judged(versioning={"enabled": True})["versioning"] == "warn"
    assert judged(retentionPolicy={"retentionPeriod": "3600"})["retention"] == "fail"


@pytest.mark.parametrize(
    ("action", "condition", "state"),
    [
        ("Delete", {"age": 30}, "fail"),
        ("Delete", {"age": 30, "matchesPrefix": ["tapes/01", "x/"]}, "fail"),
        ("Delete", {"age": 1, "matchesPrefix": ["incoming/"]}, "warn"),
        ("Delete", {"age": 1, "matchesPrefix": ["backups/"]}, None),
        ("Delete", {"daysSinceNoncurrentTime": 3}, None),
        ("Delete", {"isLive": False}, None),
        ("AbortIncompleteMultipartUpload", {"age": 1}, None),
    ],
)
def test_lifecycle_rules_must_not_delete_what_recordings_refer_to(
    action: str, condition: object, state: str | None
) -> None:
    rule = {"action": {"type": action}, "condition": condition}
    assert judged(lifecycle={"rule": [rule]}).get("lifecycle") == state


@pytest.mark.parametrize(("ahead_s", "state"), [(0.5, "ok"), (-10, "warn"), (10, "warn"), (-600, "fail")])
def test_clocks_may_differ_a_little(ahead_s: float, state: str) -> None:
    assert of_clock("Postgres", ahead_s).state == state


async def test_redis_keeps_nothing_of_the_examination(redis_url: str) -> None:
    found = await examined(redis.doorbell(redis_url))
    assert found["redis"].state == "ok"
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
