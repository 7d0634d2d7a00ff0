"""Copies in a bucket that is as strict as Google's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.protocol import Refused, Storage, Unavailable
from tests.gcs_emulator import Emulator
from tests.storage.deck import open_for_test
from tests.storage.objects import new_name, put, read
from tests.storage.strict import TOKEN, Strict, strict_google


@pytest.fixture
async def strict(emulator: Emulator) -> AsyncIterator[Strict]:
    async with strict_google(emulator.host) as google:
        yield google


@pytest.fixture
async def google(emulator: Emulator, strict: Strict) -> AsyncIterator[Storage]:
    """The emulator's bucket, with the strictness of the real one."""
    opened = open_for_test(emulator.storage_url, emulator_host=strict.host)
    yield opened
    await opened.close()


async def test_a_copy_goes_on_with_google_s_token_until_it_is_done(google: Storage, strict: Strict) -> None:
    source, target = new_name(), new_name()
    generation = (await put(google, source, b"long")).generation
    strict.parts = 3
    copied = await google.copy(source, target, generation=generation, deadline_s=30)
    assert await google.stat(target) == copied
    assert [call.get("rewriteToken") for call in strict.calls] == [None, TOKEN, TOKEN]
    for call in strict.calls:
        assert call["sourceGeneration"] == call["ifSourceGenerationMatch"] == generation
        assert call["ifGenerationMatch"] == "0"


async def test_a_copy_that_google_never_ends_stops_at_its_deadline(google: Storage, strict: Strict) -> None:
    source, target = new_name(), new_name()
    generation = (await put(google, source, b"endless")).generation
    strict.parts = 1_000_000
    with pytest.raises(Unavailable, match="deadline"):
        await google.copy(source, target, generation=generation, deadline_s=0.5)
    assert await google.stat(target) is None


async def test_a_copy_whose_answer_was_lost_has_succeeded(google: Storage, strict: Strict) -> None:
    source, target = new_name(), new_name()
    generation = (await put(google, source, b"copied the first time")).generation
    strict.lost_answers = 1
    copied = await google.copy(source, target, generation=generation, deadline_s=30)
    assert len(strict.calls) == 2
    assert await google.stat(target) == copied


async def test_of_copies_that_race_one_source_wins(google: Storage) -> None:
    target = new_name()
    sources = [new_name() for _ in range(4)]
    generations = [(await put(google, source, source.encode())).generation for source in sources]
    copies = (
        google.copy(source, target, generation=generation, deadline_s=30)
        for source, generation in zip(sources, generations, strict=True)
    )
    results = await asyncio.gather(*copies, return_exceptions=True)
    assert all(isinstance(result, Refused) for result in results if isinstance(result, BaseException))
    assert (await read(google, target)).decode() in sources
