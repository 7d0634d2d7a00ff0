"""Request bodies: encodings to the last byte, caps, the budget, stalls."""

import asyncio
import gzip
import resource
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import structlog
import zstandard

from models.db import Database
from tests.api.conftest import Serve
from tests.api.served import Served
from tests.api.test_create import PATH, refusal, rows
from tests.factories import Deckhand, events, upload

MIB = 1024 * 1024
BODY = upload(events(400))
HALF = len(BODY) // 2


def bare_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def zstd_stream(data: bytes) -> bytes:
    """Frames without a content size, as streaming encoders write them."""
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(data) + compressor.flush()


WHOLE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper case": ("GZIP", gzip.compress),
    "gzip members": ("gzip", lambda data: gzip.compress(data[:HALF]) + gzip.compress(data[HALF:])),
    "an empty gzip member": ("gzip", lambda data: gzip.compress(data) + gzip.compress(b"")),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd stream": ("zstd", zstd_stream),
    "zstd frames": ("zstd", lambda data: zstandard.compress(data[:HALF]) + zstd_stream(data[HALF:])),
    "empty zstd frames": (
        "zstd",
        lambda data: 1000 * zstandard.compress(b"") + zstd_stream(data) + zstd_stream(b""),
    ),
    "zstd with a skippable frame": (
        "zstd",
        lambda data: b"\x50\x2a\x4d\x18\3\0\0\0abc" + zstandard.compress(data),
    ),
    "identity": ("identity", bytes),
}

BROKEN: dict[str, tuple[str, bytes]] = {
    "gzip cut": ("gzip", gzip.compress(BODY)[:-1]),
    "gzip cut in the middle": ("gzip", gzip.compress(BODY)[:100]),
    "gzip with garbage": ("gzip", gzip.compress(BODY) + b"garbage"),
    "gzip with zeros": ("gzip", gzip.compress(BODY) + b"\0"),
    "gzip with a wrong checksum": ("gzip", gzip.compress(BODY)[:-8] + bytes(8)),
    "gzip, second member cut": ("gzip", gzip.compress(BODY[:HALF]) + gzip.compress(BODY[HALF:])[:-4]),
    "gzip, first member only": ("gzip", gzip.compress(BODY[:HALF])),
    "gzip doubled": ("gzip", gzip.compress(BODY) * 2),
    "no gzip": ("gzip", BODY),
    "nothing as gzip": ("gzip", b""),
    "deflate cut": ("deflate", zlib.compress(BODY)[:-1]),
    "deflate with garbage": ("deflate", zlib.compress(BODY) + b"x"),
    "deflate doubled": ("deflate", zlib.compress(BODY) * 2),
    "one byte of deflate": ("deflate", b"x"),
    "nothing as deflate": ("deflate", b""),
    "zstd cut": ("zstd", zstandard.compress(BODY)[:-1]),
    "zstd with garbage": ("zstd", zstandard.compress(BODY) + b"garbage"),
    "zstd doubled": ("zstd", zstandard.compress(BODY) * 2),
    "zstd, second frame cut": (
        "zstd",
        zstandard.compress(BODY[:HALF]) + zstandard.compress(BODY[HALF:])[:-3],
    ),
    "no zstd": ("zstd", BODY),
    "nothing as zstd": ("zstd", b""),
}


async def chunked(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("name", WHOLE)
async def test_every_encoding_brings_the_same(api: httpx.AsyncClient, name: str) -> None:
    encoding, encode = WHOLE[name]
    headers = {"Content-Encoding": encoding, "Idempotency-Key": "k"}  # the key hashes the decompressed body
    first = await api.post(PATH, content=BODY, headers={"Idempotency-Key": "k"})
    for content in (encode(BODY), chunked(encode(BODY), 7)):
        answer = await api.post(PATH, content=content, headers=headers)
        assert answer.json() == first.json(), answer.text


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_not_whole_is_refused_and_leaves_nothing(
    api: httpx.AsyncClient, database: Database, name: str
) -> None:
    encoding, body = BROKEN[name]
    assert (await refusal(api, body, **{"Content-Encoding": encoding}))["detail"]
    assert await rows(database) == 0


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, br", "gzip, gzip", "zstd;q=1", "x"])
async def test_an_unknown_or_stacked_encoding_is_415(api: httpx.AsyncClient, encoding: str) -> None:
    answer = await api.post(PATH, content=BODY, headers={"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
    assert answer.headers["Accept-Encoding"] == "gzip, deflate, zstd"


async def test_a_body_over_the_cap_as_sent_is_413(serve: Serve, hand: Deckhand, database: Database) -> None:
    limited = serve(max_body_bytes=len(BODY))
    async with limited.client(hand.keys.api_key) as api:
        assert (await api.post(PATH, content=BODY)).status_code == 201
        before = await rows(database)
        for content in (BODY + b" ", chunked(BODY + b" ", 1000)):
            answer = await api.post(PATH, content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert await rows(database) == before


async def test_an_announced_length_over_the_cap_is_413_before_reading(serve: Serve, hand: Deckhand) -> None:
    limited = serve(max_body_bytes=1000)
    reader, writer = await asyncio.open_connection(limited.host, limited.port)
    writer.write(head(hand, "Content-Length: 1001"))  # and not one byte of it
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
    assert b" 413 " in answer
    writer.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_a_body_over_the_cap_decompressed_is_413(
    serve: Serve, hand: Deckhand, database: Database, encoding: str
) -> None:
    encode = WHOLE["zlib" if encoding == "deflate" else encoding][1]
    limited = serve(max_events_bytes=len(BODY))
    headers = {"Content-Encoding": encoding}
    async with limited.client(hand.keys.api_key) as api:
        assert (await api.post(PATH, content=encode(BODY), headers=headers)).status_code == 201
        before = await rows(database)
        answer = await api.post(PATH, content=encode(BODY + b" "), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert (
            await api.post(PATH, content=encode(BODY), headers=headers)
        ).status_code == 201  # nothing is held
    assert await rows(database) > before


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_a_bomb_is_stopped_by_the_cap_in_flat_memory(
    serve: Serve, hand: Deckhand, encoding: str
) -> None:
    bomb = {"gzip": gzip_bomb, "deflate": zlib_bomb, "zstd": zstd_bomb}[encoding]()
    assert len(bomb) < 5 * MIB
    limited = serve(max_events_bytes=64 * MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with limited.client(hand.keys.api_key) as api:
        answer = await api.post(PATH, content=bomb, headers={"Content-Encoding": encoding})
    assert answer.status_code == 413
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 64 + 64, f"{grown:.0f} MiB"


async def test_a_body_within_the_budget_waits_for_nobody_and_one_beyond_it_is_503(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    tight = serve(max_events_bytes=len(BODY))  # the budget is as large
    async with tight.client(hand.keys.api_key) as api:
        slow = Slow(tight, hand, len(BODY))
        await slow.send(BODY[:-1])
        for encoding in ("identity", "gzip"):  # beyond it already, and while decompressing
            content = WHOLE[encoding][1](BODY)
            answer = await overloaded(tight, api, content, encoding, left=1)
            assert answer.json()["code"] == "overloaded"
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert b" 201 " in await slow.finish(BODY[-1:])
        assert (await api.post(PATH, content=BODY)).status_code == 201
    assert await rows(database) > 0


async def test_a_full_budget_refuses_before_reading(serve: Serve, hand: Deckhand) -> None:
    tight = serve(max_events_bytes=len(BODY))
    async with tight.client(hand.keys.api_key) as api:
        slow = Slow(tight, hand, len(BODY) + 1)
        await slow.send(BODY)  # holds all of it
        await overloaded(tight, api, BODY, "identity", left=0)
        another = Slow(tight, hand, len(BODY))
        assert b" 503 " in await another.answer()  # not one byte of its body was sent
        slow.leave()


async def test_a_client_that_leaves_gives_back_what_it_held(serve: Serve, hand: Deckhand) -> None:
    tight = serve(max_events_bytes=len(BODY))
    async with tight.client(hand.keys.api_key) as api:
        slow = Slow(tight, hand, len(BODY))
        await slow.send(BODY[:-1])
        await overloaded(tight, api, BODY, "identity", left=1)
        slow.leave()
        await until_accepted(api)


async def test_a_client_that_stalls_is_cut_and_gives_back_what_it_held(serve: Serve, hand: Deckhand) -> None:
    impatient = serve(max_events_bytes=len(BODY), body_stall_s=0.5)
    async with impatient.client(hand.keys.api_key) as api:
        slow = Slow(impatient, hand, len(BODY))
        await slow.send(BODY[:-1])
        answer = await slow.answer()
        assert b" 408 " in answer
        assert b"request_timeout" in answer
        assert (await api.post(PATH, content=BODY)).status_code == 201


async def test_a_client_that_drips_is_cut(serve: Serve, hand: Deckhand) -> None:
    impatient = serve(body_stall_s=0.5)
    slow = Slow(impatient, hand, 1000)
    answer = asyncio.create_task(slow.answer())
    while not answer.done():
        await slow.send(b" ")
        await asyncio.wait([answer], timeout=0.05)
    assert b" 408 " in answer.result()


def head(hand: Deckhand, *headers: str) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: x", f"X-API-Key: {hand.keys.api_key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


class Slow:
    """An upload of `length` bytes by hand."""

    def __init__(self, web: Served, hand: Deckhand, length: int) -> None:
        self._opening = asyncio.create_task(asyncio.open_connection(web.host, web.port))
        self._head = head(hand, f"Content-Length: {length}", "Connection: close")

    async def send(self, data: bytes) -> None:
        _, writer = await self._opening
        writer.write(self._head + data)
        self._head = b""
        await writer.drain()

    async def answer(self) -> bytes:
        await self.send(b"")
        reader, writer = await self._opening
        answer = await asyncio.wait_for(reader.readline(), 30)
        with suppress(ConnectionResetError):  # what was sent after the answer may cut off its rest
            answer += await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    async def finish(self, data: bytes) -> bytes:
        await self.send(data)
        return await self.answer()

    def leave(self) -> None:
        self._opening.result()[1].close()


async def overloaded(
    web: Served, api: httpx.AsyncClient, content: bytes, encoding: str, *, left: int
) -> httpx.Response:
    """The 503, once what the slow upload sent has arrived and `left` bytes of the budget are free."""
    while web.free_bytes() > left:
        await asyncio.sleep(0.01)
    answer = await api.post(PATH, content=content, headers={"Content-Encoding": encoding})
    assert answer.status_code == 503
    return answer


async def until_accepted(api: httpx.AsyncClient) -> None:
    while (answer := await api.post(PATH, content=BODY)).status_code == 503:
        await asyncio.sleep(0.01)
    assert answer.status_code == 201


def gzip_bomb() -> bytes:
    return _bomb(zlib.compressobj(9, wbits=31))


def zlib_bomb() -> bytes:
    return _bomb(zlib.compressobj(9))


def _bomb(compressor: "zlib._Compress") -> bytes:
    """1 GiB of spaces."""
    spaces = b" " * MIB
    return b"".join(compressor.compress(spaces) for _ in range(1024)) + compressor.flush()


def zstd_bomb() -> bytes:
    """16 GiB of spaces: blocks of four bytes that stand for 128 KiB each."""
    rle = 1 << 1 | 128 * 1024 << 3
    block, last = (number.to_bytes(3, "little") + b" " for number in (rle, rle | 1))
    return b"\x28\xb5\x2f\xfd\x00\x68" + block * (16 * 1024 * 8 - 1) + last


def test_the_zstd_bomb_is_valid() -> None:
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    assert decompressor.decompress(zstd_bomb()[: 6 + 4 * 8]) == b" " * MIB


@pytest.mark.parametrize(
    "crowd",
    [b"[" + b"1, " * 4_200_000 + b"1]", b'"' + rb"\ud83d" * 2_100_000 + b'"'],
    ids=["values", "surrogates"],
)
async def test_a_crowded_body_is_accepted_like_any_other(
    api: httpx.AsyncClient, database: Database, crowd: bytes
) -> None:
    body = upload(events()).replace(
        b'"events": [', b'"events": [{"type": 5, "data": %b, "timestamp": 1},' % crowd
    )
    headers = {"Content-Encoding": "zstd", "Idempotency-Key": "k"}
    first = await api.post(PATH, content=zstandard.compress(body), headers=headers)
    again = await api.post(PATH, content=zstandard.compress(body), headers=headers)
    assert first.status_code == 201, first.text
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    problem = await refusal(
        api, zstandard.compress(body.replace(b'"type": 4', b'"type" 4')), **{"Content-Encoding": "zstd"}
    )
    assert "byte" in problem["detail"]


async def test_a_crowded_body_is_accepted_wherever_the_service_was_started(
    api: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    body = upload(events(), client_info={"crowd": [1] * 4_200_000})
    answer = await api.post(PATH, content=zstandard.compress(body), headers={"Content-Encoding": "zstd"})
    assert answer.status_code == 201, answer.text


async def test_a_check_that_breaks_is_our_error_not_the_bodys(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # no Python starts any more
    body = upload(events(), client_info={"crowd": [1] * 4_200_000})
    with structlog.testing.capture_logs() as logged:
        answer = await api.post(PATH, content=zstandard.compress(body), headers={"Content-Encoding": "zstd"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "request_failed" in [line["event"] for line in logged]


@pytest.mark.parametrize("element", [b"{}", b"1", b'""', b"[]"])
async def test_a_body_that_would_decode_to_gigabytes_is_refused_in_flat_memory(
    api: httpx.AsyncClient, database: Database, element: bytes
) -> None:
    body = (
        b'{"started_at": "2026-05-04T10:00:00Z", "events": ['
        + (element + b",") * 24_000_000
        + element
        + b"]}"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await api.post(PATH, content=zstandard.compress(body), headers={"Content-Encoding": "zstd"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 3 * len(body) / MIB + 64
    assert await rows(database) == 0
