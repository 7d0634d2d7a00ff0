"""The job `mask`: what it makes of tape, sidecar and payload, on a real storage."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import zstandard
from sqlalchemy import text

from models import lifecycle, masking, payload, queries
from models.job import JobKind
from models.lifecycle import Work
from models.masking import Progress
from models.recording import Recording, Status
from models.retry import Dead
from replay.inflate import inflated
from replay.plan import BadRecording
from replay.privacy import Rules
from replay.tape import read_index
from tests.factories import Deckhand, accepted, events, recording, upload
from tests.models.steps import claimed, settle
from workers.expired import delete_expired
from workers.failures import failure_of
from workers.mask import mask
from workers.process import process
from workers.tools import Tools

SSN = Rules(keys=("ssn",))
TOLD = {"type": 5, "data": {"tag": "form", "payload": {"ssn": "123-45-6789"}}, "timestamp": 1_700_000_001_500}
LOG = {"level": "log", "args": [{"ssn": "987-65-4321"}], "timestamp": 1_700_000_000_000}
RECORDED = upload([*events(), TOLD], console_logs=[LOG])


async def processed(tools: Tools, hand: Deckhand, body: bytes = RECORDED, **fields: Any) -> UUID:
    id_ = await accepted(tools.db, hand, body, **fields)
    await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)
    return id_


async def failed(tools: Tools, hand: Deckhand) -> UUID:
    """A recording without any valid event, and its payload."""
    id_ = await accepted(tools.db, hand, upload([{"no": "event", "ssn": "123-45-6789"}]))
    work = await claimed(tools.db, id_, JobKind.PROCESS)
    with pytest.raises(BadRecording) as bad:
        await process(work, tools)
    await settle(tools.db, work, failure_of(bad.value))
    return id_


async def ask(tools: Tools, hand: Deckhand, recording_id: UUID) -> Work:
    await masking.ask(tools.db, hand.tenant_id, recording_id, SSN)
    return await claimed(tools.db, recording_id, JobKind.MASK)


async def found(tools: Tools, recording_id: UUID) -> Recording:
    one = await recording(tools.db, recording_id)
    assert one
    return one


async def stored(tools: Tools, name: str | None) -> bytes:
    return b"".join([chunk async for chunk in tools.storage.read(name or "")])


def decoded(object_: bytes) -> Any:
    return json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(object_))


async def test_tape_and_sidecar_are_masked_and_the_old_ones_go(tools: Tools, hand: Deckhand) -> None:
    id_ = await processed(tools, hand)
    before = await found(tools, id_)
    was = await stored(tools, before.tape_name)
    await mask(await ask(tools, hand, id_), tools)

    after = await found(tools, id_)
    tape = await stored(tools, after.tape_name)
    masked = {**TOLD, "data": {"tag": "form", "payload": {"ssn": "*" * 11}}}
    assert decoded(tape) == [masked if event == TOLD else event for event in decoded(was)]
    assert decoded(await stored(tools, after.sidecar_name))["console"][0]["args"] == [{"ssn": "*" * 11}]
    assert after.account
    assert before.account
    assert after.account == {**before.account, "stored_bytes": len(tape)}
    playable = await queries.playable(tools.db, hand.tenant_id, id_)
    assert playable
    assert playable.tape_index == read_index(tape).encode()
    assert sum(after.masked.values()) == sum(before.masked.values()) + 2
    assert (after.status, after.event_count, after.navigations) == (
        Status.READY, before.event_count, before.navigations,
    )  # fmt: skip

    await delete_expired(tools.db, tools.storage)
    for name in (before.tape_name, before.sidecar_name):
        assert await tools.storage.stat(name or "") is None


async def test_masking_again_finds_nothing_more_and_puts_nothing(tools: Tools, hand: Deckhand) -> None:
    id_ = await processed(tools, hand)
    await mask(await ask(tools, hand, id_), tools)
    before = await found(tools, id_)
    work = await ask(tools, hand, id_)
    await mask(work, tools)
    assert await found(tools, id_) == before
    for name in work.objects.values():
        assert await tools.storage.stat(name) is None


async def test_the_payload_of_a_failed_recording_is_masked_in_its_place(tools: Tools, hand: Deckhand) -> None:
    id_ = await failed(tools, hand)
    await mask(await ask(tools, hand, id_), tools)
    body = inflated([chunk async for chunk in payload.chunks(tools.db, id_, 0)], 1 << 20)
    assert json.loads(body)["events"] == [{"no": "event", "ssn": "*" * 11}]
    assert (await found(tools, id_)).masked == {"key": 1}
    await lifecycle.retry(tools.db, hand.tenant_id, id_, video_wait_s=60)
    with pytest.raises(BadRecording, match="None of the 1 events"):
        await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)


async def test_the_name_and_pages_that_only_the_client_named_are_masked(tools: Tools, hand: Deckhand) -> None:
    pages = [{"url": "https://x.example/?ssn=123-45-6789", "timestamp_ms": 0}]
    id_ = await processed(tools, hand, upload([], has_video=True), has_video=True, name=pages[0]["url"])
    async with tools.db.transaction() as session:
        row = text("UPDATE recording SET navigations = CAST(:pages AS jsonb)")
        await session.execute(row, {"pages": json.dumps(pages)})
    await mask(await ask(tools, hand, id_), tools)
    masked = await found(tools, id_)
    (page,) = masked.navigations
    assert masked.name == page["url"]
    assert page == {"url": f"https://x.example/?ssn={'*' * 11}", "timestamp_ms": 0}


async def test_a_failed_recording_of_which_nothing_is_kept_has_nothing_to_mask(
    tools: Tools, hand: Deckhand
) -> None:
    id_ = await failed(tools, hand)
    async with tools.db.transaction() as session:
        await session.execute(text("DELETE FROM payload"))
    await mask(await ask(tools, hand, id_), tools)
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.FAILED, Progress.DONE)


async def test_the_project_s_policy_of_now_holds_too(tools: Tools, hand: Deckhand) -> None:
    id_ = await processed(tools, hand)
    async with tools.db.transaction() as session:
        await session.execute(text("""UPDATE project SET mask_rules = '{"keys": ["ssn"]}'"""))
    await masking.ask(tools.db, hand.tenant_id, id_, Rules())
    await mask(await claimed(tools.db, id_, JobKind.MASK), tools)
    assert b"6789" not in zstandard.ZstdDecompressor().decompressobj().decompress(
        await stored(tools, (await found(tools, id_)).tape_name)
    )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "ends too early"),
        (b"no zstd at all", "cannot be decompressed"),
        (zstandard.compress(b"[{]"), "not what was stored"),
        (zstandard.compress(b" " * 1_000_000), "more than is allowed"),
    ],
)
async def test_a_tape_that_cannot_be_read_is_bad_input_and_the_recording_stays(
    tools: Tools, hand: Deckhand, tmp_path: Path, broken: bytes, message: str
) -> None:
    id_ = await processed(tools, hand)
    before = await found(tools, id_)
    (tmp_path / "objects" / (before.tape_name or "")).write_bytes(broken)
    work = await ask(tools, hand, id_)
    with pytest.raises(BadRecording, match=message) as bad:
        await mask(work, tools)
    assert await settle(tools.db, work, failure_of(bad.value)) == Dead()
    assert await found(tools, id_) == before
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.READY, Progress.FAILED)
