"""`/storage`: the signed URLs of a local directory, served by the API."""

import io
from urllib.parse import urlsplit

import google_crc32c
import httpx
import pytest

from storage.protocol import Storage

DATA = b"a video, say"
NAME = "video/recording.webm"


def on_this_server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@pytest.fixture
async def url(storage: Storage) -> str:
    crc32c = google_crc32c.value(DATA)
    if await storage.stat(NAME) is None:
        await storage.put(
            NAME, io.BytesIO(DATA), size=len(DATA), crc32c=crc32c, content_type="video/webm", deadline_s=9
        )
    return on_this_server(storage.sign_get(NAME, ttl_s=60))


async def test_a_signed_url_needs_no_key_and_knows_range(anyone: httpx.AsyncClient, url: str) -> None:
    assert (await anyone.get(url)).content == DATA
    part = await anyone.get(url, headers={"Range": "bytes=2-6"})
    assert (part.status_code, part.content) == (206, DATA[2:7])
    assert part.headers["X-Request-Id"]


async def test_a_signed_put_stores(anyone: httpx.AsyncClient, storage: Storage) -> None:
    put = on_this_server(storage.sign_put("incoming/new", ttl_s=60))
    assert (
        await anyone.put(put, content=DATA * 100_000, headers={"Content-Type": "video/mp4"})
    ).status_code == 200
    stored = await storage.stat("incoming/new")
    assert stored
    assert stored.size == len(DATA) * 100_000


@pytest.mark.parametrize(
    "path",
    [
        "/storage",
        "/storage/",
        f"/storage/{NAME}",
        "/storage/..%2f..%2fetc/passwd",
        "/storage/%00",
        "/storagex",
    ],
)
async def test_without_a_signature_nothing_is_served(anyone: httpx.AsyncClient, url: str, path: str) -> None:
    assert (await anyone.get(path)).status_code in (403, 404)


async def test_a_tampered_or_expired_url_is_refused(
    anyone: httpx.AsyncClient, storage: Storage, url: str
) -> None:
    assert (await anyone.get(url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code == 403
    expired = on_this_server(storage.sign_get(NAME, ttl_s=-1))
    assert (await anyone.get(expired)).status_code == 403
    assert (await anyone.put(url, content=DATA)).status_code == 405
