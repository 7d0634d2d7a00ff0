"""Copies inside a storage, for every storage."""

import asyncio
import os
import tracemalloc

import google_crc32c
import pytest

from storage.protocol import NotFound, Refused, Storage, Stored, Unavailable
from tests.storage.deck import client_of
from tests.storage.objects import new_name, put, read

MIB = 1024 * 1024


async def copy(storage: Storage, source: str, target: str, generation: str, deadline_s: float = 30) -> Stored:
    return await storage.copy(source, target, generation=generation, deadline_s=deadline_s)


async def upload(storage: Storage, name: str, data: bytes) -> Stored:
    """Puts the bytes as a browser does: what was there is replaced."""
    async with client_of(storage) as client:
        (await client.put(storage.sign_put(name, ttl_s=60), content=data)).raise_for_status()
    stored = await storage.stat(name)
    assert stored is not None
    return stored


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 17])
async def test_a_copy_holds_the_same_bytes(storage: Storage, size: int) -> None:
    source, target, data = new_name(), new_name(), os.urandom(size)
    generation = (await put(storage, source, data)).generation
    copied = await copy(storage, source, target, generation)
    assert (copied.size, copied.crc32c) == (size, google_crc32c.value(data))
    assert await storage.stat(target) == copied
    assert await read(storage, target) == await read(storage, source) == data


async def test_what_happens_to_the_source_later_does_not_change_the_copy(storage: Storage) -> None:
    source, target = new_name(), new_name()
    uploaded = await upload(storage, source, b"verified")
    copied = await copy(storage, source, target, uploaded.generation)
    await upload(storage, source, b"smuggled")
    assert await read(storage, target) == b"verified"
    await storage.delete(source)
    assert await storage.stat(target) == copied
    assert await read(storage, target) == b"verified"


async def test_what_happens_to_the_copy_does_not_change_the_source(storage: Storage) -> None:
    source, target = new_name(), new_name()
    stored = await put(storage, source, b"x")
    await copy(storage, source, target, stored.generation)
    await storage.delete(target)
    assert await storage.stat(source) == stored


async def test_a_source_that_was_replaced_is_not_copied(storage: Storage) -> None:
    source, target = new_name(), new_name()
    confirmed = await upload(storage, source, b"confirmed")
    await upload(storage, source, b"another")
    with pytest.raises(NotFound):
        await copy(storage, source, target, confirmed.generation)
    assert await storage.stat(target) is None


async def test_a_source_that_is_gone_is_not_copied(storage: Storage) -> None:
    source, target = new_name(), new_name()
    generation = (await put(storage, source, b"x")).generation
    await storage.delete(source)
    for absent in (source, new_name()):
        with pytest.raises(NotFound):
            await copy(storage, absent, target, generation)
    assert await storage.stat(target) is None


async def test_generations_of_uploads_in_quick_succession_differ(storage: Storage) -> None:
    name, generations = new_name(), set()
    async with client_of(storage) as client:
        for _ in range(30):
            await client.put(storage.sign_put(name, ttl_s=60), content=b"same")
            stored = await storage.stat(name)
            assert stored is not None
            generations.add(stored.generation)
    assert len(generations) == 30


async def test_a_repeated_copy_changes_nothing(storage: Storage) -> None:
    source, target = new_name(), new_name()
    generation = (await put(storage, source, b"x")).generation
    first = await copy(storage, source, target, generation)
    assert await copy(storage, source, target, generation) == first


async def test_a_target_with_other_bytes_is_refused_and_stays(storage: Storage) -> None:
    source, target = new_name(), new_name()
    generation = (await put(storage, source, b"new")).generation
    there = await put(storage, target, b"old")
    with pytest.raises(Refused, match="other bytes"):
        await copy(storage, source, target, generation)
    assert await storage.stat(target) == there


async def test_copies_that_race_all_succeed(storage: Storage) -> None:
    source, target, data = new_name(), new_name(), os.urandom(300_000)
    generation = (await put(storage, source, data)).generation
    copies = await asyncio.gather(*(copy(storage, source, target, generation) for _ in range(6)))
    assert {(copied.size, copied.crc32c) for copied in copies} == {(len(data), google_crc32c.value(data))}
    assert await read(storage, target) == data


async def test_a_copy_past_its_deadline_leaves_nothing(storage: Storage) -> None:
    source, target = new_name(), new_name()
    generation = (await put(storage, source, b"late")).generation
    with pytest.raises(Unavailable, match="deadline"):
        await copy(storage, source, target, generation, deadline_s=0)
    assert await storage.stat(target) is None


@pytest.mark.parametrize(("source", "target"), [("../x", "a"), ("a", ".drafts/x"), ("a", "")])
async def test_tricky_names_are_refused(storage: Storage, source: str, target: str) -> None:
    with pytest.raises(Refused, match="not an object name"):
        await copy(storage, source, target, "1")


async def test_a_copy_holds_no_bytes_here(storage: Storage) -> None:
    source, target = new_name(), new_name()
    generation = (await put(storage, source, bytes(30 * MIB))).generation
    tracemalloc.start()
    try:
        await copy(storage, source, target, generation)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB
