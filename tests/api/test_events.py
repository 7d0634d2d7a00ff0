"""GET and HEAD /api/v1/recordings/{id}/events: the tape, cut, encoded, revalidated."""

import gzip
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.db import Database
from storage.protocol import Storage
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_tenant
from tests.api.test_read import create, id_in
from tests.factories import START_MS, events, recording, upload

NDJSON = {"Accept": "application/x-ndjson"}
IDENTITY = {"Accept-Encoding": "identity"}


def long(seconds: int = 120) -> list[dict[str, Any]]:
    """Several parts of a tape: a snapshot every 30 seconds, and 100 kB each second that do not compress away."""
    made = []
    for second in range(seconds):
        at = START_MS + 1000 * second
        if second % 30 == 0:
            made.append(
                {"type": 4, "data": {"href": "https://x.example/", "width": 1, "height": 1}, "timestamp": at}
            )
            made.append(
                {"type": 2, "data": {"node": {"type": 0, "childNodes": [], "id": 1}}, "timestamp": at + 1}
            )
        made.append({"type": 5, "data": {"tag": "n", "payload": f"{second} " * 20_000}, "timestamp": at + 2})
    return made


async def ready(api: httpx.AsyncClient, process_it: Process, sent: list[Any] | None = None) -> str:
    """The path of the events of a recording that was processed."""
    path = await create(api, upload(sent))
    await process_it(id_in(path))
    return f"{path}/events"


async def raw(api: httpx.AsyncClient, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer and its body as sent, nothing decoded."""
    async with api.stream("GET", path, headers=headers) as answer:
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


def between(sent: list[dict[str, Any]], low: float, high: float) -> list[dict[str, Any]]:
    first = sent[0]["timestamp"]
    return [event for event in sent if low <= event["timestamp"] - first < high]


async def test_zstd_gets_the_stored_bytes_untouched(
    api: httpx.AsyncClient, process_it: Process, storage: Storage, database: Database
) -> None:
    sent = long(90)
    path = await ready(api, process_it, sent)
    answer, body = await raw(api, path, **{"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert answer.headers["Content-Encoding"] == "zstd"
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(body)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(body)) == sent
    row = await recording(database, UUID(path.split("/")[-2]))
    assert row
    assert row.tape_name
    stored = b"".join([chunk async for chunk in storage.read(row.tape_name)])
    assert stored.startswith(body)


async def test_gzip_is_made_on_the_fly(api: httpx.AsyncClient, process_it: Process) -> None:
    sent = long(60)
    answer, body = await raw(api, await ready(api, process_it, sent), **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body)) == sent


async def test_identity_is_made_on_the_fly_and_knows_its_length(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    sent = long(60)
    answer, body = await raw(api, await ready(api, process_it, sent), **IDENTITY)
    assert "Content-Encoding" not in answer.headers
    assert int(answer.headers["Content-Length"]) == len(body)
    assert json.loads(body) == sent


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
async def test_one_event_a_line(api: httpx.AsyncClient, process_it: Process, encoding: str) -> None:
    body = upload(events(4)).replace(b'"timestamp"', b'\r\n "timestamp"')  # raw newlines between tokens
    path = await create(api, body)
    await process_it(id_in(path))
    answer = await api.get(f"{path}/events", headers=NDJSON | {"Accept-Encoding": encoding})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == events(4)
    assert answer.text.endswith("\n")


async def test_a_cut_is_exact(api: httpx.AsyncClient, process_it: Process) -> None:
    sent = long()
    path = await ready(api, process_it, sent)
    for low, high in [
        (0, 1),
        (0, 2.5),
        (1000, 2002),
        (2001, 2002),
        (30_000, 90_000),
        (119_002, 1e9),
        (119_003, 1e9),
    ]:
        answer = await api.get(path, params={"from_ms": low, "to_ms": high})
        assert answer.json() == between(sent, low, high), (low, high)
    assert (await api.get(path, params={"from_ms": 60_000})).json() == between(sent, 60_000, 1e9)
    assert (await api.get(path, params={"to_ms": 60_000})).json() == between(sent, 0, 60_000)
    assert (await api.get(path, params={"from_ms": 5, "to_ms": 5})).json() == []
    assert (await api.get(path, params={"from_ms": 9, "to_ms": 5})).json() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(
    cut=st.tuples(st.floats(0, 4000), st.floats(0, 4000)),
    encoding=st.sampled_from(["identity", "gzip", "zstd"]),
)
async def test_any_cut_is_the_cut_of_the_whole(
    api: httpx.AsyncClient, process_it: Process, cut: tuple[float, float], encoding: str, made: dict[str, str]
) -> None:
    if not made:
        made["path"] = await ready(api, process_it, events(6))
    query = {"from_ms": repr(cut[0]), "to_ms": repr(cut[1])}
    answer = await api.get(made["path"], params=query, headers={"Accept-Encoding": encoding})
    assert answer.json() == between(events(6), *cut)


@pytest.fixture
def made() -> dict[str, str]:
    """What one example leaves for the next."""
    return {}


async def test_a_start_aligned_to_a_snapshot_plays_on_its_own(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    sent = long()
    path = await ready(api, process_it, sent)
    query = {"from_ms": 45_000, "to_ms": 50_000, "align": "snapshot"}
    answer = (await api.get(path, params=query)).json()
    assert [event["type"] for event in answer[:2]] == [4, 2]
    assert answer == between(sent, 30_000, 50_000)
    aligned = await api.get(path, params={"align": "snapshot"})
    assert aligned.json() == sent


async def test_the_etag_tells_tape_cut_format_and_encoding_apart(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    path, another = await ready(api, process_it), await ready(api, process_it)
    asked: list[tuple[str, dict[str, str]]] = [
        (path, IDENTITY),
        (path, {"Accept-Encoding": "gzip"}),
        (path, {"Accept-Encoding": "zstd"}),
        (path, NDJSON | IDENTITY),
        (f"{path}?from_ms=1", IDENTITY),
        (f"{path}?to_ms=1", IDENTITY),
        (f"{path}?from_ms=1&align=snapshot", IDENTITY),
        (another, IDENTITY),
    ]
    tags = [(await api.get(target, headers=headers)).headers["ETag"] for target, headers in asked]
    assert len(set(tags)) == len(tags)
    for (target, headers), tag in zip(asked, tags, strict=True):
        same = await api.get(target, headers=headers | {"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        assert (same.headers["ETag"], same.headers["Vary"]) == (tag, "Accept, Accept-Encoding")
    stale = await api.get(path, headers=IDENTITY | {"If-None-Match": tags[1]})
    assert stale.status_code == 200


@pytest.mark.parametrize(
    "headers", [IDENTITY, {"Accept-Encoding": "zstd"}, {"Accept-Encoding": "gzip"}, NDJSON]
)
async def test_head_says_what_get_would(
    api: httpx.AsyncClient, process_it: Process, headers: dict[str, str]
) -> None:
    path = await ready(api, process_it)
    head, get = await api.head(path, headers=headers), await api.get(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    varying = {"date", "x-request-id", "transfer-encoding"}
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in get.headers.items() if k not in varying
    }


async def test_until_there_is_a_tape_it_is_not_ready(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{await create(api)}/events")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_recording_that_failed_without_a_tape_says_so(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    path = await create(api, upload([{"no": "event"}]))
    await process_it(id_in(path))
    answer = await api.get(f"{path}/events")
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_failed")
    assert "Retry-After" not in answer.headers


async def test_another_tenants_a_deleted_and_no_recording_have_no_events(
    api: httpx.AsyncClient, web: Served, database: Database, process_it: Process
) -> None:
    theirs, deleted = await ready(api, process_it), await ready(api, process_it)
    await api.delete(deleted.removesuffix("/events"))
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        answers = [
            await other.get(theirs),
            await api.get(deleted),
            await api.get(f"/api/v1/recordings/{uuid4()}/events"),
        ]
    assert {answer.status_code for answer in answers} == {404}


async def test_an_ingest_key_reads_no_events(ingest: httpx.AsyncClient, process_it: Process) -> None:
    path = await ready(ingest, process_it)
    assert (await ingest.get(path)).status_code == 403
    assert (await ingest.head(path)).status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from_ms", "soon"),
        ("from_ms", "-1"),
        ("from_ms", "nan"),
        ("to_ms", "inf"),
        ("to_ms", "1e400"),
        ("to_ms", "9" * 400),
        ("align", "meta"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    api: httpx.AsyncClient, name: str, value: str
) -> None:
    answer = await api.get(f"{await create(api)}/events", params={name: value})
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == name


@pytest.mark.parametrize(
    "headers",
    [{"Accept": "text/html"}, {"Accept": "application/json;q=0"}, {"Accept-Encoding": "identity;q=0, br"}],
)
async def test_what_cannot_be_made_is_not_acceptable(
    api: httpx.AsyncClient, process_it: Process, headers: dict[str, str]
) -> None:
    answer = await api.get(await ready(api, process_it), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


async def test_storage_away_before_the_first_byte_is_503(
    api: httpx.AsyncClient, process_it: Process, storage: Storage, database: Database
) -> None:
    path = await ready(api, process_it)
    row = await recording(database, UUID(path.split("/")[-2]))
    assert row
    assert row.tape_name
    await storage.delete(row.tape_name)
    for query in ("", "?from_ms=1"):
        answer = await api.get(path + query)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
async def test_storage_failing_mid_body_ends_the_connection_and_never_the_json(
    api: httpx.AsyncClient, process_it: Process, database: Database, folder: Any, encoding: str
) -> None:
    path = await ready(api, process_it, noise(12))
    row = await recording(database, UUID(path.split("/")[-2]))
    assert row
    file = folder / row.tape_name
    whole = file.read_bytes()
    assert len(whole) > 8 << 20
    file.write_bytes(whole[: 5 << 20])
    with pytest.raises(httpx.RemoteProtocolError):
        await api.get(path, headers={"Accept-Encoding": encoding})


def noise(mib: int) -> list[dict[str, Any]]:
    """Events whose tape is about as large as they are."""
    made = events(2)
    for number in range(mib):
        payload = b"".join(uuid4().bytes for _ in range(1 << 16)).hex()
        made.append({"type": 5, "data": {"tag": "n", "payload": payload}, "timestamp": START_MS + number})
    return made
