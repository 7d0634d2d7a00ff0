"""The signed URLs of a local directory over HTTP: GET, HEAD, PUT, in process and through a real server."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.protocol import Storage
from tests.storage.deck import (
    BASE_URL,
    MAX_PUT,
    assert_problem,
    client_of,
    open_for_test,
    served,
    sign,
    signed_url_app,
)
from tests.storage.objects import DATA, files, in_pieces, new_name, put, read


async def test_get_gives_the_bytes_with_what_a_player_needs(client: httpx.AsyncClient, url: str) -> None:
    response = await client.get(url)
    assert (response.status_code, response.content) == (200, DATA)
    assert response.headers["content-length"] == str(len(DATA))
    assert response.headers["content-type"] == "video/webm"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["etag"].startswith('"')
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


async def test_head_gives_the_same_headers_and_no_body(client: httpx.AsyncClient, url: str) -> None:
    got, head = await client.get(url), await client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers} == {**got.headers}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, local: Storage, method: str) -> None:
    response = await client.request(method, local.sign_get(new_name(), ttl_s=60))
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 1024),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-9999999", 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-9999999", 0, 1024),
        ("bytes = 1 - 2", 1, 3),
    ],
)
async def test_a_range_is_206(client: httpx.AsyncClient, url: str, asked: str, start: int, end: int) -> None:
    response = await client.get(url, headers={"range": asked})
    assert (response.status_code, response.content) == (206, DATA[start:end])
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/1024"


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_past_the_end_is_416(client: httpx.AsyncClient, url: str, asked: str) -> None:
    response = await client.get(url, headers={"range": asked})
    assert_problem(response, 416, "bad_range")
    assert response.headers["content-range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,4-5",
        "items=0-1",
        "bytes=+1-2",
        "bytes=" + "9" * 40 + "-",
        "",
    ],
)
async def test_what_is_no_single_range_gets_the_whole(
    client: httpx.AsyncClient, url: str, asked: str
) -> None:
    response = await client.get(url, headers={"range": asked})
    assert (response.status_code, response.content) == (200, DATA)


async def test_an_empty_object_has_no_range(client: httpx.AsyncClient, local: Storage) -> None:
    name = new_name()
    await put(local, name, b"")
    url = local.sign_get(name, ttl_s=60)
    assert (await client.get(url)).content == b""
    assert (await client.get(url, headers={"range": "bytes=0-"})).status_code == 416


async def test_a_known_etag_is_304_and_another_one_ends_a_range(client: httpx.AsyncClient, url: str) -> None:
    etag = (await client.get(url)).headers["etag"]
    for tags in (f'"other", {etag}', f"W/{etag}", "*"):
        known = await client.get(url, headers={"if-none-match": tags})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    assert (await client.get(url, headers={"if-none-match": '"other"'})).status_code == 200
    assert (await client.get(url, headers={"range": "bytes=0-1", "if-range": etag})).status_code == 206
    for stale in ('"other"', "Sat, 21 Nov 2026 00:00:00 GMT"):
        whole = await client.get(url, headers={"range": "bytes=0-1", "if-range": stale})
        assert (whole.status_code, whole.content) == (200, DATA)


async def test_head_has_no_ranges(client: httpx.AsyncClient, url: str) -> None:
    head = await client.head(url, headers={"range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))


@pytest.mark.parametrize(
    "content_type", ["video/webm", "video/mp4", "audio/ogg", "application/octet-stream", "application/json"]
)
async def test_a_url_may_say_the_content_type(
    client: httpx.AsyncClient, local: Storage, content_type: str
) -> None:
    name = new_name("page.html")
    await client.put(
        local.sign_put(name, ttl_s=60), content=b"<script>", headers={"content-type": "text/html"}
    )
    url = local.sign_get(name, ttl_s=60, content_type=content_type)
    response = await client.get(url, headers={"range": "bytes=0-0"})
    assert (response.status_code, response.headers["content-type"]) == (206, content_type)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    plain = await client.get(local.sign_get(name, ttl_s=60))
    assert plain.headers["content-type"] == "application/octet-stream"


# PUT


async def test_put_stores_what_it_sends_and_names_it(client: httpx.AsyncClient, local: Storage) -> None:
    name = new_name("video.mp4")
    response = await client.put(local.sign_put(name, ttl_s=60), content=DATA)
    assert (response.status_code, response.content) == (200, b"")
    assert (await client.get(local.sign_get(name, ttl_s=60))).headers["etag"] == response.headers["etag"]
    assert await read(local, name) == DATA


async def test_put_takes_an_empty_body(client: httpx.AsyncClient, local: Storage) -> None:
    name = new_name()
    assert (await client.put(local.sign_put(name, ttl_s=60))).status_code == 200
    assert await read(local, name) == b""


async def test_put_is_capped_where_its_url_says(
    client: httpx.AsyncClient, local: Storage, root: Path
) -> None:
    url = local.sign_put(new_name(), ttl_s=60)
    assert_problem(await client.put(url, content=bytes(MAX_PUT + 1)), 413, "payload_too_large")
    assert_problem(await client.put(url, content=in_pieces(MAX_PUT + 1)), 413, "payload_too_large")
    assert files(root) == []
    assert (await client.put(url, content=bytes(MAX_PUT))).status_code == 200
    assert (await client.put(url, content=in_pieces(MAX_PUT))).status_code == 200


async def test_put_of_a_part_is_refused(client: httpx.AsyncClient, local: Storage, root: Path) -> None:
    response = await client.put(
        local.sign_put(new_name(), ttl_s=60), content=b"x", headers={"content-range": "bytes 0-0/9"}
    )
    assert_problem(response, 400, "partial_put")
    assert files(root) == []


async def test_an_upload_that_fails_keeps_what_was_there(client: httpx.AsyncClient, local: Storage) -> None:
    name = new_name()
    url = local.sign_put(name, ttl_s=60)
    await client.put(url, content=b"first")
    await client.put(url, content=in_pieces(2 * MAX_PUT))
    assert await read(local, name) == b"first"


async def test_storage_that_is_away_is_503(
    client: httpx.AsyncClient, local: Storage, url: str, root: Path
) -> None:
    root.rename(root.with_name("elsewhere"))
    for response in (
        await client.get(url),
        await client.put(local.sign_put(new_name(), ttl_s=60), content=b"x"),
    ):
        assert_problem(response, 503, "storage_unavailable")
        assert int(response.headers["retry-after"]) > 0


@pytest.fixture
async def server(local: Storage) -> AsyncIterator[str]:
    assert local.asgi is not None
    async with served(local.asgi) as base_url:
        yield base_url


async def test_objects_travel_through_a_real_server(root: Path) -> None:
    size = 20_000_000
    data = os.urandom(size)
    async with (
        served(signed_url_app(root)) as base,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        there = sign("PUT", "a/b.webm", max_bytes=size).replace(BASE_URL, base)
        assert (await client.put(there, content=data)).status_code == 200
        back = sign("GET", "a/b.webm").replace(BASE_URL, base)
        assert (await client.get(back)).content == data
        part = await client.get(back, headers={"range": "bytes=-3000000"})
        assert part.content == data[-3_000_000:]
        assert (await client.head(back)).headers["content-length"] == str(size)
        chunked = await client.put(there, content=in_pieces(size + 1))
        assert chunked.status_code == 413
        assert (await client.get(back)).content == data


async def send_raw(
    base: str, url: str, head: str, body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A PUT of which only this much is sent."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    target = url.removeprefix(BASE_URL)
    writer.write(f"PUT {target} HTTP/1.1\r\nhost: {host}\r\n{head}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def until(condition: object) -> None:
    """Waits for what another task or thread brings about."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("trick", ["../", "./", "/", "%2e%2e%2f", "..%2f", "%00"])
async def test_a_path_is_taken_as_it_was_sent(local: Storage, root: Path, server: str, trick: str) -> None:
    url = local.sign_put("recordings/1/a", ttl_s=60).replace("recordings/", f"recordings/{trick}recordings/")
    reader, writer = await send_raw(server, url, "content-length: 1", b"x")
    async with asyncio.timeout(20):
        assert b"403" in await reader.readline()
    writer.close()
    assert files(root) == []


@pytest.mark.parametrize("head", ["content-length: 900000", "transfer-encoding: chunked"])
async def test_an_upload_that_is_cut_off_leaves_nothing(
    local: Storage, root: Path, server: str, head: str
) -> None:
    body = bytes(300_000) if "length" in head else b"493e0\r\n" + bytes(300_000) + b"\r\n"
    _, writer = await send_raw(server, local.sign_put(new_name(), ttl_s=60), head, body)
    await until(lambda: files(root))
    writer.close()
    await until(lambda: not files(root))


async def test_an_upload_that_stalls_is_ended_and_leaves_nothing(root: Path) -> None:
    async with served(signed_url_app(root, stall_s=0.2)) as base:
        url = sign("PUT", new_name(), max_bytes=1000)
        reader, writer = await send_raw(base, url, "content-length: 1000", b"some")
        async with asyncio.timeout(20):
            assert b"408" in await reader.readline()
        writer.close()
    assert files(root) == []


async def test_an_upload_that_trickles_is_ended_too_and_leaves_nothing(root: Path) -> None:
    async with served(signed_url_app(root, stall_s=0.5, upload_deadline_s=0.6)) as base:
        url = sign("PUT", new_name(), max_bytes=10_000)
        reader, writer = await send_raw(base, url, "content-length: 10000", b"some")

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"upload_too_slow")
        trickling.cancel()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert files(root) == []


async def test_an_upload_keeps_its_memory_flat(root: Path) -> None:
    size = 50_000_000
    async with client_of(open_for_test(root.as_uri(), max_put_bytes=size)) as client:
        url = sign("PUT", "a/b.webm", max_bytes=size)
        tracemalloc.start()
        try:
            response = await client.put(url, content=in_pieces(size))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert response.status_code == 200
    assert peak < 8 * 1024 * 1024


async def test_a_download_that_is_cut_off_stops_reading(local: Storage, server: str, root: Path) -> None:
    name = new_name()
    (root / name).parent.mkdir(parents=True)
    with (root / name).open("wb") as sparse:
        sparse.truncate(1 << 40)  # nobody can send a terabyte before the test ends
    url = local.sign_get(name, ttl_s=60).replace(BASE_URL, server)
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
        await anext(response.aiter_raw())


async def test_two_uploads_at_once_leave_one_of_them_whole(local: Storage, root: Path, server: str) -> None:
    name = new_name()
    url = local.sign_put(name, ttl_s=60).replace(BASE_URL, server)
    async with httpx.AsyncClient(trust_env=False) as client:
        await asyncio.gather(*(client.put(url, content=bytes([i]) * 400_000) for i in range(4)))
    data = await read(local, name)
    assert data == data[:1] * 400_000
    assert files(root) == [name]
