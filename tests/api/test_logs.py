"""GET and HEAD /api/v1/recordings/{id}/logs: the sidecar."""

import json
from typing import Any

import httpx
import pytest
import zstandard

from tests.api.conftest import Process
from tests.api.test_events import raw
from tests.api.test_read import create, id_in
from tests.factories import events, upload

CONSOLE = [{"level": "log", "args": ["Hello", 10**40], "timestamp": 1678886401000, "extra": True}]
NETWORK = [{"id": "fetch-1", "url": "https://x.example/", "status": 200}]
CLIENT = {"browser": {"name": "Chrome"}}


async def ready(api: httpx.AsyncClient, process_it: Process, **more: Any) -> str:
    path = await create(api, upload([*events(), {"type": 3, "data": {"source": 1}}], **more))
    await process_it(id_in(path))
    return f"{path}/logs"


async def test_what_came_with_the_events_can_be_read(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await ready(api, process_it, console_logs=CONSOLE, network_logs=NETWORK, client_info=CLIENT)
    answer = await api.get(path)
    logs = answer.json()
    assert list(logs) == ["console", "network", "client_info", "rejected"]
    assert (logs["console"], logs["network"], logs["client_info"]) == (CONSOLE, NETWORK, CLIENT)
    assert logs["rejected"] == [
        {"index": 3, "reason": "missing_timestamp", "event": {"type": 3, "data": {"source": 1}}}
    ]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
async def test_every_encoding_says_the_same(
    api: httpx.AsyncClient, process_it: Process, encoding: str
) -> None:
    path = await ready(api, process_it)
    answer, body = await raw(api, path, **{"Accept-Encoding": encoding})
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    if encoding == "zstd":
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        assert json.loads(body)["client_info"] == {}
    assert (await api.get(path, headers={"Accept-Encoding": encoding})).json()["console"] == []


async def test_unchanged_logs_are_304(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await ready(api, process_it)
    first = await api.get(path)
    same = await api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")


async def test_head_has_no_body(api: httpx.AsyncClient, process_it: Process) -> None:
    head = await api.head(await ready(api, process_it))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"]


async def test_until_there_are_logs_it_is_not_ready(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await create(api)
    answer = await api.get(f"{path}/logs")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
    assert answer.headers["Retry-After"]
    failed = await create(api, upload([{"no": "event"}]))
    await process_it(id_in(failed))
    assert (await api.get(f"{failed}/logs")).json()["code"] == "recording_failed"


async def test_an_ingest_key_reads_no_logs(ingest: httpx.AsyncClient, process_it: Process) -> None:
    assert (await ingest.get(await ready(ingest, process_it))).status_code == 403
