"""POST /api/save-replay: what is taken, what is refused, what is known of it at once, and what it becomes."""

import asyncio
import copy
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
import zstandard
from argon2 import PasswordHasher
from sqlalchemy import text

from app import examples
from models import administration
from models.db import Database
from models.tenancy import Scope
from replay.client import Client
from replay.privacy import IpAddresses
from replay.session import NO_EVENTS, NO_HASH
from tests.api.conftest import MaskIt, Process, Serve
from tests.api.erasing import Hands, erase
from tests.api.served import Served
from tests.api.tenants import new_key
from tests.api.test_create import PATH, rows
from tests.api.test_idempotency import count
from tests.factories import START_MS, Deckhand, events
from tests.replay.test_unpack import packer, posthog

SAVE = "/api/save-replay"
HASH = "0123456789abcdef" * 4
HREF = f"https://pages.example.com/a/{HASH}.html?x=1#top"
META = {"type": 4, "data": {"href": HREF, "width": 1280, "height": 720}, "timestamp": START_MS}
NOBODY = {"User-Agent": ""}
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.2 Mobile/15E148 Safari/604.1"
)
TABLET = "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"


def session(events_: Any = None, **fields: Any) -> bytes:
    """The body of POST /api/save-replay."""
    return json.dumps({"events": [META, *events()[1:]] if events_ is None else events_, **fields}).encode()


def meta(**data: Any) -> dict[str, Any]:
    return META | {"data": data}


def packed(event: dict[str, Any]) -> str:
    return str(json.loads(packer(json.dumps(event | {"v": "v1"}).encode())))


async def save(client: httpx.AsyncClient, body: bytes | None = None, **headers: str) -> str:
    """Save a session that is fit. Returns its id."""
    answer = await client.post(SAVE, content=session() if body is None else body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["replayId"])


def said(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.status_code, answer.json()


async def replay_of(db: Database, replay_id: str) -> dict[str, Any]:
    """The row of the replay, but for what `relate` adds."""
    columns = "replay_id, html_hash, " + ", ".join(Client.__struct_fields__)
    async with db.autocommit() as connection:
        found = await connection.execute(
            text(f"SELECT {columns} FROM replay WHERE replay_id = :id"),  # our names
            {"id": replay_id},
        )
        return dict(found.mappings().one())


async def test_a_session_is_accepted_and_becomes_ready(
    api: httpx.AsyncClient, process_it: Process, hand: Deckhand
) -> None:
    body = copy.deepcopy(examples.SESSION)
    answer = await api.post(SAVE, json=body)
    assert answer.status_code == 201
    replay_id = answer.json().pop("replayId")
    assert answer.json() == {"message": "Recording saved successfully", "replayId": replay_id}
    path = f"{PATH}/{replay_id}"
    assert answer.headers["Location"] == path
    read = (await api.get(path)).json()
    assert (read["status"], read["source"], read["id"]) == ("uploading", "replay", replay_id)
    assert (read["started_at"], read["ended_at"]) == ("2023-03-15T13:20:00Z", "2023-03-15T13:20:00.010Z")
    assert read["user_id"] == str(hand.api_key.user_id)
    assert read["project_id"] == str(hand.api_key.project_id)
    await process_it(replay_id)
    read = (await api.get(path)).json()
    assert (read["status"], read["playable"], read["event_count"]) == ("ready", True, 2)
    assert (read["started_at"], read["ended_at"]) == ("2023-03-15T13:20:00Z", "2023-03-15T13:20:00.010Z")
    assert read["warnings"] == []
    assert (await api.get(f"{path}/events")).json() == body["events"]
    assert (await api.get(f"{path}/logs")).json() == {
        "console": body["consoleLogs"],
        "network": body["networkLogs"],
        "client_info": body["clientInfo"],
        "rejected": [],
    }


async def test_events_and_logs_are_kept_byte_for_byte(api: httpx.AsyncClient, process_it: Process) -> None:
    odd = b'{ "timestamp":1700000000001.50 ,\t"type" : 5,"data":{"tag":"\\ud83d","payload":1e2}, "more":[ ] }'
    first = json.dumps(META).encode()
    body = b'{"x": [1], "networkLogs":[ {"u" : "\\udc00"} ], "events": [%b ,\n %b], "consoleLogs" : [{"a":1.0 } , {}]}'
    replay_id = await save(api, body % (first, odd))
    await process_it(replay_id)
    played = (await api.get(f"{PATH}/{replay_id}/events")).content
    assert odd in played
    assert first in played
    logs = (await api.get(f"{PATH}/{replay_id}/logs")).content
    assert b'"console":[{"a":1.0 },{}],"network":[{"u" : "\\udc00"}]' in logs


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff",
        b"{}",
        session()[:-1],
        session() + b"x",
        session().replace(b"Hello", b"x").replace(b'"type": 2', b'"type" 2'),
        session().replace(b"example", b"ex\xffample"),
        session([]),
        session({}),
        session({"0": META}),
        session("x"),
        session(1),
        session([META, None]),
        session([META, 1]),
        session([META, [META]]),
        session([True, META]),
        b'{"events": null}',
        b'{"events": [%b' % (b"[" * 100_000),
        b'{"Events": [{}]}',
    ],
)
async def test_without_good_events_it_is_refused(
    api: httpx.AsyncClient, database: Database, body: bytes
) -> None:
    assert said(await api.post(SAVE, content=body)) == (400, {"message": NO_EVENTS})
    assert await rows(database) == 0


@pytest.mark.parametrize(
    "href",
    [
        f"https://x.example/{HASH[1:]}.html",
        f"https://x.example/{HASH}0.html",
        f"https://x.example/{HASH.upper()}.html",
        f"https://x.example/{HASH[:-1]}g.html",
        f"https://x.example/{HASH}.htm",
        f"https://x.example/{HASH}.html/",
        f"https://x.example/{HASH}.html/more",
        f"https://x.example/{HASH}.htmlx",
        f"https://x.example/{HASH}",
        f"https://x.example/?{HASH}.html",
        f"https://x.example/#/{HASH}.html",
        f"https://{HASH}.html",
        f"/{HASH}.html",
        f"{HASH}.html",
        f"https://[x/{HASH}.html",
        "about:blank",
        "",
        None,
        1,
        [HREF],
        {"href": HREF},
    ],
)
async def test_without_the_hash_of_a_page_it_is_refused(
    api: httpx.AsyncClient, database: Database, href: object
) -> None:
    answer = await api.post(SAVE, content=session([meta(href=href), *events()[1:]]))
    assert said(answer) == (400, {"message": NO_HASH})
    assert await rows(database) == 0


@pytest.mark.parametrize(
    "events_",
    [
        events()[1:],
        [meta(), META],
        [meta(href="https://x.example/"), META],
        [{"type": 4, "timestamp": START_MS}, META],
        [{"type": 4, "data": [HREF], "timestamp": START_MS}, META],
        [{"type": "4", "data": {"href": HREF}, "timestamp": START_MS}],
        ["not packed", {"type": 2}],
        [packed(meta(href="https://x.example/")), META],
    ],
)
async def test_only_the_first_meta_event_counts(api: httpx.AsyncClient, events_: Any) -> None:
    assert said(await api.post(SAVE, content=session(events_))) == (400, {"message": NO_HASH})


@pytest.mark.parametrize(
    "href",
    [
        HREF,
        f"http://localhost:8080/{HASH}.html",
        f"file:///tmp/{HASH}.html",
        f"chrome-extension://abc/pages/{HASH}.html#x",
    ],
)
async def test_the_hash_is_the_name_of_the_page(
    api: httpx.AsyncClient, database: Database, href: str
) -> None:
    second = meta(href=f"https://x.example/{'f' * 64}.html") | {"timestamp": 1}
    replay_id = await save(api, session([*events()[1:], "{}", meta(href=href), second]))
    assert (await replay_of(database, replay_id))["html_hash"] == HASH


async def test_packed_events_are_unpacked_to_find_it(
    api: httpx.AsyncClient, database: Database, process_it: Process
) -> None:
    late = events()[2] | {"timestamp": START_MS + 60_000}
    replay_id = await save(api, session([packed(event) for event in (META, *events()[1:], late)]))
    replay = await replay_of(database, replay_id)
    assert (replay["html_hash"], replay["viewport_width"]) == (HASH, 1280)
    before = (await api.get(f"{PATH}/{replay_id}")).json()
    assert (before["started_at"], before["ended_at"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z")
    await process_it(replay_id)
    after = (await api.get(f"{PATH}/{replay_id}")).json()
    assert after["status"] == "ready"
    assert (after["started_at"], after["ended_at"]) == (before["started_at"], before["ended_at"])


async def test_events_of_posthog_are_unpacked_too(api: httpx.AsyncClient, process_it: Process) -> None:
    snapshot = events()[1]
    data = json.loads(posthog(json.dumps(snapshot["data"]).encode()))
    replay_id = await save(
        api, session([META | {"cv": "2024-10"}, snapshot | {"data": data, "cv": "2024-10"}])
    )
    await process_it(replay_id)
    played = (await api.get(f"{PATH}/{replay_id}/events")).json()
    assert played[1]["data"] == snapshot["data"]


@pytest.mark.parametrize(
    ("times", "started_at", "ended_at"),
    [
        ((5000, 1000, 3000), "1970-01-01T00:00:01Z", "1970-01-01T00:00:05Z"),
        ((None, "7", 3000, 2000), "1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z"),
        ((START_MS, START_MS / 1000 + 5, START_MS + 1), "2023-11-14T22:13:20Z", "2023-11-14T22:13:25Z"),
        ((START_MS, 9e15), "2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"),
        ((START_MS, 8e15), "2023-11-14T22:13:20Z", None),
    ],
)
async def test_it_begins_and_ends_with_the_earliest_and_the_latest_time(
    api: httpx.AsyncClient, times: Any, started_at: str, ended_at: str | None
) -> None:
    replay_id = await save(api, session([META | {"timestamp": time} for time in times]))
    read = (await api.get(f"{PATH}/{replay_id}")).json()
    assert (read["started_at"], read["ended_at"]) == (started_at, ended_at)


async def test_no_valid_event_fails_the_recording_not_the_request(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    replay_id = await save(api, session([{"type": 4, "data": {"href": HREF}}]))
    await process_it(replay_id)
    read = (await api.get(f"{PATH}/{replay_id}")).json()
    assert (read["status"], read["failure"]["code"]) == ("failed", "no_valid_events")


@pytest.mark.parametrize(
    ("logs", "kept", "rejected"),
    [
        (None, [], []),
        ([], [], []),
        ([{"level": None, "more": {"x": None}}], [{"level": None, "more": {"x": None}}], []),
        (
            [{"timestamp": "soon"}, {}, {"timestamp": True}],
            [{}],
            [(0, {"timestamp": "soon"}), (2, {"timestamp": True})],
        ),
        ("text", [], [(0, "text")]),
        (7, [], [(0, 7)]),
        ([1, {"level": "log"}, ["x"], None], [{"level": "log"}], [(0, 1), (2, ["x"]), (3, None)]),
        ({"level": "log"}, [{"level": "log"}], []),
    ],
)
@pytest.mark.parametrize("kind", ["console", "network"])
async def test_logs_of_wrong_types_are_rejected_and_the_recording_is_kept(
    api: httpx.AsyncClient, process_it: Process, kind: str, logs: Any, kept: Any, rejected: Any
) -> None:
    replay_id = await save(api, session(**{f"{kind}Logs": logs}))
    await process_it(replay_id)
    read = (await api.get(f"{PATH}/{replay_id}")).json()
    assert read["status"] == "ready"
    assert (read["events"]["received"], read["events"]["rejected"]) == (3, 0)
    found = (await api.get(f"{PATH}/{replay_id}/logs")).json()
    assert found[kind] == kept
    assert [(one["index"], one["reason"]) for one in found["rejected"]] == [
        (index, f"bad_{kind}_log") for index, _ in rejected
    ]
    assert [one["event"] for one in found["rejected"]] == [
        "****" if event == "text" else event
        for _, event in rejected  # nobody knows what it is
    ]


@pytest.mark.parametrize(
    ("kind", "log"),
    [
        ("console", {"level": 1}),
        ("console", {"level": ["error"]}),
        ("console", {"args": "Hello"}),
        ("console", {"args": {}}),
        ("network", {"id": {}}),
        ("network", {"url": 5}),
        ("network", {"method": ["GET"]}),
        ("network", {"status": "200"}),
        ("network", {"startTime": "now"}),
        ("network", {"endTime": []}),
        ("network", {"duration": False}),
    ],
)
async def test_a_log_whose_known_fields_have_other_types_is_rejected(
    api: httpx.AsyncClient, process_it: Process, kind: str, log: dict[str, Any]
) -> None:
    fit = [
        {"level": "log", "args": [], "timestamp": 1.5, "trace": 5},
        {"id": 7, "url": "/", "status": 2.5, "duration": None, "timestamp": 1, "responseSize": "5 MB"},
    ]
    replay_id = await save(api, session(**{f"{kind}Logs": [*fit, log | {"mine": "kept"}]}))
    await process_it(replay_id)
    assert (await api.get(f"{PATH}/{replay_id}")).json()["status"] == "ready"
    found = (await api.get(f"{PATH}/{replay_id}/logs")).json()
    assert found[kind] == fit
    rejected = {"index": 2, "reason": f"bad_{kind}_log", "event": log | {"mine": "kept"}}
    assert found["rejected"] == [rejected]


@pytest.mark.parametrize(
    "info", [None, "x", 1, [], {"browser": "x", "os": [], "device": {"type": {}}, "ip": 5}]
)
async def test_odd_words_of_a_client_say_nothing(
    api: httpx.AsyncClient, process_it: Process, database: Database, info: Any
) -> None:
    replay_id = await save(api, session(clientInfo=info), **NOBODY)
    replay = await replay_of(database, replay_id)
    assert [replay[name] for name in ("browser_name", "os_name", "device_type", "ip")] == 3 * [None] + [
        "127.0.0.1"
    ]
    await process_it(replay_id)
    assert (await api.get(f"{PATH}/{replay_id}")).json()["status"] == "ready"


async def test_a_client_is_taken_at_its_word(api: httpx.AsyncClient, database: Database) -> None:
    info = examples.SESSION["clientInfo"] | {"viewport": {"width": 800.4, "height": 600}}
    replay = await replay_of(database, await save(api, session(clientInfo=info), **{"User-Agent": IPHONE}))
    assert list(replay.values())[1:] == [
        HASH, "Chrome", "120.0.0.0", "Windows", "10", "desktop", 800, 600, "192.168.1.100",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("user_agent", "known"),
    [
        (CHROME, ["Chrome", "120.0.0.0", "Windows", "10", "desktop"]),
        (IPHONE, ["Mobile Safari", "17.2", "iOS", "17.2", "mobile"]),
        (TABLET, ["Chrome", "120.0.0.0", "Android", "13", "tablet"]),
        ("", 5 * [None]),
        ("nothing that is known", 5 * [None]),
        ("x" * 8000, 5 * [None]),
    ],
)
async def test_what_the_client_does_not_say_comes_from_events_and_request(
    api: httpx.AsyncClient, database: Database, user_agent: str, known: list[Any]
) -> None:
    resize = {"type": 3, "data": {"source": 4, "width": 390, "height": 844}, "timestamp": START_MS + 1}
    body = session([meta(href=HREF, width="wide"), *events()[1:], resize])
    replay = await replay_of(database, await save(api, body, **{"User-Agent": user_agent}))
    assert list(replay.values())[2:] == [*known, 390, 844, "127.0.0.1"]
    replay = await replay_of(database, await save(api, **{"User-Agent": user_agent}))
    assert (replay["viewport_width"], replay["viewport_height"]) == (1280, 720)


async def test_the_address_is_what_trusted_proxies_say(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    proxied = serve(trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))
    async with proxied.client(hand.keys.ingest_key) as client:
        for forwarded, ip in (
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
            ("203.0.113.9, nonsense", "127.0.0.1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("", "127.0.0.1"),
        ):
            replay_id = await save(client, **{"X-Forwarded-For": forwarded})
            assert (await replay_of(database, replay_id))["ip"] == ip


@pytest.mark.parametrize(
    ("policy", "kept"),
    [(IpAddresses.FULL, "192.168.1.100"), (IpAddresses.TRUNCATED, "192.168.1.0"), (IpAddresses.OFF, None)],
)
async def test_an_address_is_kept_as_the_project_says(
    api: httpx.AsyncClient, database: Database, hand: Deckhand, policy: IpAddresses, kept: str | None
) -> None:
    await administration.set_privacy(database, hand.api_key.project_id, ip_addresses=policy)
    info = {"ip": "192.168.1.100", "os": {"name": "4111 1111 1111 1111"}}
    replay = await replay_of(database, await save(api, session(clientInfo=info)))
    assert (replay["ip"], replay["os_name"]) == (kept, "**** **** **** ****")


async def test_masking_after_the_fact_masks_its_row_too(
    api: httpx.AsyncClient, database: Database, hand: Deckhand, process_it: Process, mask_it: MaskIt
) -> None:
    replay_id = await save(api, session(clientInfo={"ip": "192.168.1.100"}))
    await process_it(replay_id)
    await administration.set_privacy(database, hand.api_key.project_id, ip_addresses=IpAddresses.OFF)
    assert (await api.post(f"{PATH}/{replay_id}/mask")).status_code == 202
    await mask_it(replay_id)
    assert (await replay_of(database, replay_id))["ip"] is None


async def test_a_deleted_one_leaves_no_row(
    api: httpx.AsyncClient, database: Database, process_it: Process, hands: Hands, hand: Deckhand
) -> None:
    ids = [await save(api) for _ in range(2)]
    for replay_id in ids:
        await process_it(replay_id)
    assert (await api.delete(f"{PATH}/{ids[0]}")).status_code == 204
    erasure = await erase(api, user_id=str(hand.api_key.user_id))
    await hands.finish()
    done = (await api.get(erasure.headers["Location"])).json()
    assert (done["state"], done["erased"]) == ("done", 2)
    assert "replay" in done["certificate"]["tables"]
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM replay"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
async def test_encodings_are_as_for_recordings(
    api: httpx.AsyncClient, database: Database, encoding: str, encode: Any
) -> None:
    await save(api, encode(session()), **{"Content-Encoding": encoding})
    assert await count(database) == 1
    broken = await api.post(SAVE, content=gzip.compress(session())[:-1], headers={"Content-Encoding": "gzip"})
    assert broken.status_code == 400
    assert set(broken.json()) == {"message"}


async def test_an_idempotency_key_gives_the_first_answer_again(
    api: httpx.AsyncClient, database: Database
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await api.post(SAVE, content=session(), headers=key)
    again = await api.post(SAVE, content=gzip.compress(session()), headers=key | {"Content-Encoding": "gzip"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    answers = await asyncio.gather(*(api.post(SAVE, content=session(), headers=key) for _ in range(5)))
    assert {answer.json()["replayId"] for answer in answers} == {first.json()["replayId"]}
    other = await api.post(SAVE, content=session(x=1), headers=key)
    assert other.status_code == 422
    assert set(other.json()) == {"message"}
    long = await api.post(SAVE, content=session(), headers={"Idempotency-Key": "x" * 256})
    assert (long.status_code, set(long.json())) == (400, {"message"})
    assert await count(database) == 1
    both = session(started_at="2026-05-04T10:00:00Z")
    assert (await api.post(PATH, content=both, headers={"Idempotency-Key": "k2"})).status_code == 201
    assert (await api.post(SAVE, content=both, headers={"Idempotency-Key": "k2"})).status_code == 422


async def test_strangers_are_told_nothing(anyone: httpx.AsyncClient, web: Served) -> None:
    unauthorized = (401, {"message": "Unauthorized"})
    answer = await anyone.post(SAVE, content=session())
    assert said(answer) == unauthorized
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for headers in ({"X-API-Key": "x"}, {"Cookie": "tapedeck_session=x"}):
        assert said(await anyone.post(SAVE, content=session(), headers=headers)) == unauthorized


async def test_it_needs_the_scope_ingest(
    web: Served, ingest: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await save(ingest)
    async with web.client(await new_key(database, hand, Scope.READ, Scope.MANAGE)) as reader:
        answer = await reader.post(SAVE, content=session())
    assert answer.status_code == 403
    assert set(answer.json()) == {"message"}


@pytest.fixture
async def kim(web: Served, database: Database, hand: Deckhand) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who has signed in."""
    who = {"email": "kim@example.com", "password": "correct horse battery"}
    await administration.create_user(
        database,
        email=who["email"],
        project_id=hand.api_key.project_id,
        scopes=[Scope.INGEST, Scope.READ],
        password_hash=PasswordHasher().hash(who["password"]),
    )
    async with web.client() as browser:
        assert (await browser.post("/login", json=who)).status_code == 200
        yield browser


async def test_a_session_cookie_will_do_with_proof_that_it_is_no_form(
    kim: httpx.AsyncClient, hand: Deckhand
) -> None:
    refused = await kim.post(SAVE, content=session(), headers={"Content-Type": "text/plain"})
    assert refused.status_code == 403
    assert set(refused.json()) == {"message"}
    for headers in ({"Content-Type": "application/json"}, {"X-CSRF-Token": kim.cookies["tapedeck_csrf"]}):
        replay_id = await save(kim, **headers)
        read = (await kim.get(f"{PATH}/{replay_id}")).json()
        assert read["user_id"] != str(hand.api_key.user_id)
        assert read["project_id"] == str(hand.api_key.project_id)


async def test_limits_are_as_for_recordings(serve: Serve, hand: Deckhand, database: Database) -> None:
    limited = serve(max_body_bytes=400, max_events_bytes=600)
    async with limited.client(hand.keys.ingest_key) as client:
        for content, encoding, status in (
            (session(x="x" * 400), "identity", 413),
            (gzip.compress(session(x="x" * 4000)), "gzip", 413),
            (session(), "br", 415),
        ):
            answer = await client.post(SAVE, content=content, headers={"Content-Encoding": encoding})
            assert answer.status_code == status
            assert set(answer.json()) == {"message"}
    assert await rows(database) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_are_405_in_the_same_form(api: httpx.AsyncClient, method: str) -> None:
    answer = await api.request(method, SAVE)
    assert (answer.status_code, set(answer.json())) == (405, {"message"})
    assert answer.headers["Allow"]


async def test_an_unexpected_error_stores_nothing_and_shows_nothing(
    api: httpx.AsyncClient, database: Database
) -> None:
    async with database.autocommit() as connection:
        await connection.execute(text("ALTER TABLE replay RENAME TO hidden"))
    try:
        answer = await api.post(SAVE, content=session(), headers={"Idempotency-Key": "k"})
    finally:
        async with database.autocommit() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO replay"))
    status, body = said(answer)
    assert status == 500
    assert body["message"].startswith("Error saving replay: ")
    assert body["error"] == {"code": "internal_error", "request_id": answer.headers["X-Request-Id"]}
    for word in ("Traceback", "relation", "INSERT", "sqlalchemy", "asyncpg", ".py"):
        assert word not in answer.text
    assert await rows(database) == 0
    await save(api, **{"Idempotency-Key": "k"})


async def test_a_crowded_body_is_checked_apart(api: httpx.AsyncClient, database: Database) -> None:
    body = session(clientInfo={"os": {"name": "Plan 9"}, "crowd": [1] * 4_200_000})
    replay_id = await save(api, zstandard.compress(body), **{"Content-Encoding": "zstd"})
    assert (await replay_of(database, replay_id))["os_name"] == "Plan 9"
    bad = await api.post(
        SAVE,
        content=zstandard.compress(body.replace(HASH.encode(), b"")),
        headers={"Content-Encoding": "zstd"},
    )
    assert said(bad) == (400, {"message": NO_HASH})


async def test_what_packed_events_unpack_to_is_bounded(api: httpx.AsyncClient) -> None:
    bomb = packed({"type": 5, "timestamp": START_MS, "data": " " * (40 << 20)})
    answer = await api.post(SAVE, content=session([bomb, bomb, bomb, packed(META)]))
    assert said(answer) == (400, {"message": NO_HASH})
    await save(api, session([packed(META), bomb, bomb, bomb]))
