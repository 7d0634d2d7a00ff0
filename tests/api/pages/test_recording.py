"""The page of a recording: every number is the API's; it stays right while the recording is deleted, and purged."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.pages import page as pages
from app.pages.environment import count, percent, size
from models import deletion
from models.db import Database
from models.job import JobKind
from models.tenancy import Scope
from storage.protocol import Storage
from tests.api.conftest import Process
from tests.api.erasing import Hands
from tests.api.operators import HOSTILE, dead, get, hostile, job_id
from tests.api.pages.test_live import stream
from tests.api.pages.visitor import Sheet, Visitor
from tests.api.served import Served
from tests.api.tenants import new_key
from tests.factories import Deckhand, accepted, events, job_of, recording, upload
from tests.models.steps import FAULT, claimed, settle


def path(recording_id: UUID) -> str:
    return f"/ops/recordings/{recording_id}"


async def told(web: Served, database: Database, hand: Deckhand, recording_id: UUID) -> dict[str, Any]:
    """What the API says."""
    async with web.client(await new_key(database, hand, Scope.OPERATE)) as client:
        return await get(client, f"/recordings/{recording_id}")


def plain(text: str) -> str:
    return text.replace("\u2009", " ")


async def test_every_number_is_the_apis(
    operator: Visitor, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    made = events(5)
    sent = [*made, *made[:2], {"type": 99}, {"type": 3}, "nothing"]
    recording_id = await accepted(database, hand, upload(sent), name="A checkout")
    await process_it(recording_id)
    page, api = await operator.see(path(recording_id)), await told(web, database, hand, recording_id)

    assert "A checkout" in page.text
    for what in ("received", "stored", "duplicate", "rejected"):
        assert page.told(what, "events") == f"{count(api['account'][what])} {what}"
    assert api["rejected"]["reasons"]
    for reason, number in api["rejected"]["reasons"].items():
        assert page.told(reason, "events") == str(number)
    for warning in api["warnings"]:
        assert warning["message"] in page.text
    total = sum(api["bytes_by_type"].values())
    assert total == api["tape"]["json_bytes"]
    for kind, number in api["bytes_by_type"].items():
        assert page.told(kind.replace("_", " "), "bytes") == plain(size(number))
        assert plain(percent(number / total)) in page.text
    tape = api["tape"]
    says = (
        f"{tape['events']} events, {size(tape['json_bytes'])} of JSON stored as {size(tape['stored_bytes'])}"
    )
    assert page.told("tape", "held").startswith(plain(says))
    assert page.told("payload", "held") == "none waits"
    for one in api["objects"]:
        assert one["name"] in page.text
        assert plain(size(one["bytes"])) in page.text


async def test_the_largest_type_comes_first(
    operator: Visitor, database: Database, hand: Deckhand, process_it: Process
) -> None:
    recording_id = await accepted(database, hand, upload(events(40)))
    await process_it(recording_id)
    text = (await operator.see(path(recording_id))).text
    assert text.index("mouse move") < text.index("full snapshot", text.index("Bytes of JSON"))


async def test_its_life_is_a_picture_and_the_same_as_a_table(
    operator: Visitor, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    recording_id = await accepted(database, hand)
    await process_it(recording_id)
    page, api = await operator.see(path(recording_id)), await told(web, database, hand, recording_id)
    assert '<svg class="life" width="100%"' in page.html
    assert "style=" not in page.html  # which the page's own policy forbids
    table = page.html.partition('aria-label="The life as a table"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + len(api["moments"])
    for moment in api["moments"]:
        assert f'<time datetime="{moment["at"]}">' in table


async def test_what_strangers_wrote_is_only_text(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    name = (HOSTILE.replace("\x00", "") + "W" * 500)[:500]
    recording_id = await accepted(database, hand, name=name)
    await settle(database, await claimed(database, recording_id), hostile())
    page = await operator.see(path(recording_id))
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;alert(1)" in page.html
    assert f"<bdi>{HOSTILE[:5]}" in page.html


async def test_one_that_waits_says_why(
    operator: Visitor, web: Served, database: Database, hand: Deckhand
) -> None:
    recording_id = await accepted(database, hand)
    job = await job_id(database, recording_id)
    async with web.client(await new_key(database, hand, Scope.OPERATE)) as client:
        why = (await get(client, f"/jobs/{job}"))["why"]
    page = await operator.see(path(recording_id))
    assert "It is not ready yet" in page.text
    assert why in page.text
    assert f"/ops/jobs/{job}" in page.links
    assert not [form for form in page.forms if form["action"].endswith("/retry")]
    kept = (await told(web, database, hand, recording_id))["payload"]
    assert page.told("payload", "held").startswith(plain(size(kept["bytes"])))


async def test_one_that_failed_is_retried_from_its_page(
    operator: Visitor, database: Database, hand: Deckhand, process_it: Process
) -> None:
    recording_id = await accepted(database, hand)
    for _ in range(2):
        job = await job_of(database, recording_id, JobKind.PROCESS)
        if job and job.state == "due":
            await settle(database, await claimed(database, recording_id), FAULT)
    page = await operator.see(path(recording_id))
    assert "It failed" in page.text
    assert "nothing happens until somebody retries it" in page.text
    assert "Nothing is lost" in page.text
    again = await operator.send(page, path(recording_id) + "/retry", next=path(recording_id))
    assert "It is tried again now" in again.html
    assert "It is not ready yet" in again.text
    await process_it(recording_id)
    found = await recording(database, recording_id)
    assert found
    assert found.status == "ready"


async def test_bad_input_is_said_to_be_that(operator: Visitor, database: Database, hand: Deckhand) -> None:
    (recording_id,) = await dead(database, hand)
    assert "What was sent is at fault" in (await operator.see(path(recording_id))).text


async def test_a_job_of_another_recording_is_not_retried(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    first, second = await dead(database, hand, 2)
    fields = (await operator.see(path(first))).form(path(first) + "/retry")["fields"]
    for wrong in (str(await job_id(database, second)), "x", ""):
        refused = await operator.client.post(path(first) + "/retry", data=fields | {"job": wrong})
        assert refused.status_code == 400
    assert "It failed" in (await operator.see(path(second))).text


async def test_two_who_retry_at_once_are_both_told(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    (recording_id,) = await dead(database, hand)
    page = await operator.see(path(recording_id))
    await operator.send(page, path(recording_id) + "/retry")
    await claimed(database, recording_id)
    late = await operator.client.post(
        path(recording_id) + "/retry", data=page.form(path(recording_id) + "/retry")["fields"]
    )
    assert late.status_code == 409
    assert "There is nothing to retry about this job" in Sheet(late.text).text


async def test_it_changes_while_it_is_looked_at_when_it_is_deleted_and_purged(
    operator: Visitor,
    database: Database,
    hand: Deckhand,
    storage: Storage,
    process_it: Process,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "LIVE_S", 0.1)
    recording_id = await accepted(database, hand, name="Soon gone")
    await process_it(recording_id)
    async with stream(operator.client, path(recording_id)) as seen:
        assert "Soon gone" in await seen.event()
        await deletion.delete_recording(database, hand.tenant_id, recording_id)
        said = Sheet("<main>" + await seen.until("Nobody can read it any more") + "</main>").text
        assert "Left are 2 objects in storage" in said
        assert "purge" in said
        await Hands(database, storage).purge_all()
        said = Sheet("<main>" + await seen.until("This recording was purged") + "</main>").text
    page = await operator.see(path(recording_id))
    assert "Nothing of it is left" in page.text
    assert f"/ops/tenants/{hand.tenant_id}" in page.links
    assert "Soon gone" not in page.html


async def test_a_deleted_one_cannot_be_retried(operator: Visitor, database: Database, hand: Deckhand) -> None:
    (recording_id,) = await dead(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, recording_id)
    page = await operator.see(path(recording_id))
    assert "Deleted" in page.text
    assert not [form for form in page.forms if form["action"].endswith("/retry")]


async def test_one_that_never_was_says_where_to_go(operator: Visitor) -> None:
    answer = await operator.client.get(path(uuid4()))
    assert answer.status_code == 404
    page = Sheet(answer.text)
    assert "It may have been purged" in page.text
    assert "/ops" in page.links


async def test_only_operators_see_it(web: Served, database: Database, hand: Deckhand) -> None:
    recording_id = await accepted(database, hand, name="A secret")
    async with httpx.AsyncClient(base_url=web.url, trust_env=False) as client:
        for asked in (
            path(recording_id),
            f"/ops/tenants/{hand.tenant_id}",
            "/ops/audit",
            "/ops/conservation",
        ):
            answer = await client.get(asked)
            assert answer.status_code == 303
            assert "A secret" not in answer.text
