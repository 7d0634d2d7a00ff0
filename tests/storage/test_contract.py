"""What holds for every storage."""

import asyncio
import io
import os
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.protocol import NotFound, Refused, Storage, Unavailable, check_name
from tests.storage.deck import client_of
from tests.storage.objects import new_name, put, read

MIB = 1024 * 1024


async def test_what_was_put_is_read_back(storage: Storage) -> None:
    name, data = new_name(), os.urandom(100_000)
    stored = await put(storage, name, data)
    assert (stored.size, stored.crc32c) == (len(data), google_crc32c.value(data))
    assert await storage.stat(name) == stored
    assert await read(storage, name) == data


async def test_an_object_is_found_by_its_generation(storage: Storage) -> None:
    name = new_name()
    assert await storage.find(name) is None
    stored = await put(storage, name, b"data")
    assert await storage.find(name) == (stored.size, stored.generation)


async def test_an_empty_object_is_an_object(storage: Storage) -> None:
    name = new_name()
    stored = await put(storage, name, b"")
    assert stored.size == 0
    assert await storage.stat(name) == stored
    assert await read(storage, name) == b""
    assert await read(storage, name, 0, 10) == b""


async def test_put_sends_from_where_the_body_stands(storage: Storage) -> None:
    name, body = new_name(), io.BytesIO(b"skipped, sent")
    body.seek(9)
    await storage.put(
        name, body, size=4, crc32c=google_crc32c.value(b"sent"), content_type="text/plain", deadline_s=30
    )
    assert await read(storage, name) == b"sent"


async def test_an_object_can_be_deleted_once(storage: Storage) -> None:
    name = new_name()
    await put(storage, name, b"x")
    assert await storage.delete(name) is True
    assert await storage.delete(name) is False
    assert await storage.stat(name) is None
    with pytest.raises(NotFound):
        await read(storage, name)


async def test_what_never_was_is_absent(storage: Storage) -> None:
    name = new_name()
    assert await storage.stat(name) is None
    assert await storage.delete(name) is False
    with pytest.raises(NotFound):
        await read(storage, name)


async def test_the_same_bytes_may_be_put_again(storage: Storage) -> None:
    name = new_name()
    first = await put(storage, name, b"the same")
    assert await put(storage, name, b"the same") == first


async def test_other_bytes_may_not(storage: Storage) -> None:
    name = new_name()
    first = await put(storage, name, b"first")
    with pytest.raises(Refused):
        await put(storage, name, b"other")
    assert await storage.stat(name) == first
    assert await read(storage, name) == b"first"


async def test_of_puts_that_race_one_wins_whole(storage: Storage) -> None:
    name = new_name()
    bodies = [bytes([i]) * 300_000 for i in range(6)]
    results = await asyncio.gather(*(put(storage, name, body) for body in bodies), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert all(isinstance(result, Refused) for result in results if isinstance(result, BaseException))
    assert await read(storage, name) in bodies


async def test_equal_puts_that_race_all_succeed(storage: Storage) -> None:
    name, body = new_name(), os.urandom(300_000)
    results = await asyncio.gather(*(put(storage, name, body) for _ in range(6)))
    assert len(set(results)) == 1


@pytest.mark.parametrize("claims", [{"crc32c": 1}, {"size": 3}, {"size": 5_000_000}, {"size": 0}])
async def test_bytes_that_are_not_as_announced_are_refused_and_leave_nothing(
    storage: Storage, claims: dict[str, int]
) -> None:
    name = new_name()
    with pytest.raises(Refused):
        await put(storage, name, b"real bytes", **claims)
    assert await storage.stat(name) is None


async def test_a_put_past_its_deadline_leaves_nothing(storage: Storage) -> None:
    name = new_name()
    with pytest.raises(Unavailable):
        await put(storage, name, b"late", deadline_s=0)
    assert await storage.stat(name) is None


class TakesLong(io.BytesIO):
    """A body that cannot be read to its end before the deadline."""

    def __init__(self, size: int) -> None:
        super().__init__(bytes(size))
        self.size = size

    def read(self, size: int | None = -1) -> bytes:
        self.seek(0)  # it never ends
        return super().read(1)


async def test_a_put_stops_at_its_deadline_while_it_sends(storage: Storage) -> None:
    name, size = new_name(), 2**40
    with pytest.raises(Unavailable):
        await storage.put(name, TakesLong(1), size=size, crc32c=0, content_type="text/plain", deadline_s=0.2)
    assert await storage.stat(name) is None


class Interrupted(io.BytesIO):
    """A body whose disk fails half-way."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 2 * MIB:
            raise OSError(5, "Input/output error")
        return super().read(size)


async def test_a_put_whose_body_fails_half_way_leaves_nothing(storage: Storage) -> None:
    name, data = new_name(), bytes(3 * MIB)
    with pytest.raises(Refused, match="cannot be read"):
        await storage.put(
            name,
            Interrupted(data),
            size=len(data),
            crc32c=google_crc32c.value(data),
            content_type="text/plain",
            deadline_s=30,
        )
    assert await storage.stat(name) is None


class Blocks(io.BytesIO):
    """A body that says when its last byte is about to be read, and whose reader can then be cancelled."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.loop = asyncio.get_running_loop()
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            self.loop.call_soon_threadsafe(self.reached.set)
            asyncio.run_coroutine_threadsafe(self.go_on.wait(), self.loop).result(timeout=30)
        return data


async def test_a_cancelled_put_publishes_nothing_any_more(storage: Storage) -> None:
    name, body = new_name(), Blocks(b"whole")
    task = asyncio.create_task(
        storage.put(
            name, body, size=5, crc32c=google_crc32c.value(b"whole"), content_type="text/plain", deadline_s=30
        )
    )
    await body.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    body.go_on.set()
    await put(storage, name, b"other")  # whenever the cancelled one's thread ends, this one's bytes stay
    assert await read(storage, name) == b"other"


async def test_ranges_are_half_open_and_clipped(storage: Storage) -> None:
    name, data = new_name(), bytes(range(100))
    await put(storage, name, data)
    for start, end in [
        (0, 1),
        (0, 100),
        (99, 100),
        (10, 20),
        (50, 50),
        (90, 1000),
        (100, 101),
        (500, None),
        (7, None),
    ]:
        assert await read(storage, name, start, end) == data[start:end]
    for start, end in [(-1, 2), (3, 2)]:
        with pytest.raises(ValueError, match="range"):
            await read(storage, name, start, end)


@pytest.mark.parametrize("size", [8 * MIB, 13 * MIB + 17])
async def test_long_objects_come_in_pieces_that_join_exactly(storage: Storage, size: int) -> None:
    name, data = new_name(), random.Random(1).randbytes(size)
    await put(storage, name, data)
    pieces = [piece async for piece in storage.read(name)]
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 8 * MIB
    assert b"".join(pieces) == data
    for start, end in [(4 * MIB - 1, 4 * MIB + 1), (1, 12 * MIB), (8 * MIB - 1, 8 * MIB + 1), (size, None)]:
        assert await read(storage, name, start, end) == data[start:end]


async def test_a_stream_is_one_objects_bytes_though_it_is_deleted_and_put_again(storage: Storage) -> None:
    name, data = new_name(), b"a" * (9 * MIB)
    await put(storage, name, data)
    pieces = storage.read(name)
    got = await anext(pieces)
    await storage.delete(name)
    await put(storage, name, b"b" * len(data))
    try:
        async for piece in pieces:
            got += piece
        assert got == data
    except NotFound:
        assert data.startswith(got)


async def test_an_abandoned_stream_can_be_closed(storage: Storage) -> None:
    name = new_name()
    await put(storage, name, bytes(9 * MIB))
    pieces = storage.read(name)
    await anext(pieces)
    await pieces.aclose()


async def test_generations_tell_objects_of_one_name_apart(storage: Storage) -> None:
    name = new_name()
    generations = set()
    for _ in range(5):
        generations.add((await put(storage, name, b"x")).generation)
        await storage.delete(name)
    assert len(generations) == 5


BAD_NAMES = [
    "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", "/a", "a\\b", "..\\a", "a\0b",
    "a\nb", "a b", "%2e%2e/a", "a%2fb", ".drafts/x", "a/.hidden", "ä", "a" * 201, "/".join("a" * 600), "a?b", "a#b", "C:/a", "a:b", "~/a", "\ud83d",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_tricky_names_are_refused(storage: Storage, name: str) -> None:
    for refused in (put(storage, name, b"x"), storage.stat(name), storage.delete(name), read(storage, name)):
        with pytest.raises(Refused, match="not an object name"):
            await refused
    for sign in (storage.sign_put, storage.sign_get):
        with pytest.raises(Refused, match="not an object name"):
            sign(name, ttl_s=60)


@given(st.text(max_size=30))
def test_no_name_that_passes_can_leave_its_folder(name: str) -> None:
    try:
        check_name(name)
    except Refused:
        return
    assert os.path.normpath(os.path.join("/root", name)) == f"/root/{name}"
    assert httpx.URL(f"http://deck/storage/{name}").raw_path == f"/storage/{name}".encode()


async def test_check_passes_when_storage_is_there(storage: Storage) -> None:
    await storage.check()


@pytest.mark.parametrize("content_type", [None, "video/webm;codecs=vp9,opus", "application/octet-stream"])
async def test_a_signed_url_takes_any_content_type_and_gives_the_object_back(
    storage: Storage, content_type: str | None
) -> None:
    name, data = new_name("video.webm"), os.urandom(200_000)
    headers = {"content-type": content_type} if content_type else {}
    async with client_of(storage) as client:
        assert (
            await client.put(storage.sign_put(name, ttl_s=60), content=data, headers=headers)
        ).status_code == 200
        stored = await storage.stat(name)
        assert stored is not None
        assert (stored.size, stored.crc32c) == (len(data), google_crc32c.value(data))
        url = storage.sign_get(name, ttl_s=60)
        assert (await client.get(url)).content == data
        part = await client.get(url, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(data)}"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "video/webm; codecs=vp9",
        "video/",
        "video/a\nb",
        "",
    ],
)
async def test_types_that_browsers_run_are_not_signed(storage: Storage, content_type: str) -> None:
    with pytest.raises(Refused, match="not a content type"):
        storage.sign_get(new_name(), ttl_s=60, content_type=content_type)


async def test_an_upload_that_is_repeated_replaces_the_first_as_another_object(storage: Storage) -> None:
    name = new_name("video.webm")
    async with client_of(storage) as client:
        url = storage.sign_put(name, ttl_s=60)
        await client.put(url, content=b"first")
        first = await storage.stat(name)
        await client.put(url, content=b"second")
    second = await storage.stat(name)
    assert first is not None
    assert second is not None
    assert first.generation != second.generation
    assert await read(storage, name) == b"second"


@pytest.fixture
def fifty_megabytes(tmp_path: Path) -> Iterator[BinaryIO]:
    with (tmp_path / "body").open("w+b") as body:
        for _ in range(50):
            body.write(os.urandom(MIB))
        body.seek(0)
        yield body


async def test_fifty_megabytes_take_flat_memory(storage: Storage, fifty_megabytes: BinaryIO) -> None:
    name, crc32c = new_name(), 0
    while block := fifty_megabytes.read(MIB):
        crc32c = google_crc32c.extend(crc32c, block)
    fifty_megabytes.seek(0)
    tracemalloc.start()
    try:
        await storage.put(
            name, fifty_megabytes, size=50 * MIB, crc32c=crc32c, content_type="video/webm", deadline_s=60
        )
        got = 0
        async for piece in storage.read(name):
            got = google_crc32c.extend(got, piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == crc32c
    assert peak < 24 * MIB
