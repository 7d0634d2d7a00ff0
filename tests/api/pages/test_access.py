"""The way in: who sees pages, who is asked to sign in, who is turned away, and whose forms count."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.errors import ApiError, Code
from models.db import Database
from models.tenancy import Scope
from tests.api.pages.visitor import EMAIL, Sheet, Visitor, make_operator
from tests.api.served import Served
from tests.factories import Deckhand


@pytest.fixture
async def stranger(web: Served) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(base_url=web.url, timeout=60, trust_env=False) as client:
        yield Visitor(client)


async def test_who_has_not_signed_in_is_led_to_sign_in_and_back(
    stranger: Visitor, database: Database, hand: Deckhand
) -> None:
    await make_operator(database, hand)
    away = await stranger.client.get("/ops/jobs?state=dead")
    assert away.status_code == 303
    target = urlsplit(away.headers["Location"])
    assert (target.path, parse_qs(target.query)) == ("/sign-in", {"to": ["/ops/jobs?state=dead"]})
    entered = await stranger.sign_in(to=parse_qs(target.query)["to"][0])
    assert (entered.status_code, entered.headers["Location"]) == (303, "/ops/jobs?state=dead")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/ops",
        "/ops\\evil",
        "/opsevil",
        "javascript:alert(1)",
        "/ops\n",
        "",
    ],
)
async def test_signing_in_leads_nowhere_else(
    stranger: Visitor, database: Database, hand: Deckhand, target: str
) -> None:
    await make_operator(database, hand)
    assert (await stranger.sign_in(to=target)).headers["Location"] == "/ops"


async def test_a_wrong_password_is_said_and_the_email_stays(
    stranger: Visitor, database: Database, hand: Deckhand
) -> None:
    await make_operator(database, hand)
    refused = await stranger.sign_in(password="wrong")
    assert refused.status_code == 401
    page = Sheet(refused.text)
    assert "do not belong together" in page.text
    assert page.form("/sign-in")["fields"]["email"] == EMAIL


async def test_a_form_of_another_site_signs_nobody_in(
    stranger: Visitor, database: Database, hand: Deckhand
) -> None:
    await make_operator(database, hand)
    data = {"email": EMAIL, "password": "correct horse battery"}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        refused = await stranger.client.post("/sign-in", data=data, headers=headers)
        assert refused.status_code == 403
        assert not refused.headers.get_list("Set-Cookie")


async def test_who_may_not_operate_sees_no_page(
    stranger: Visitor, database: Database, hand: Deckhand
) -> None:
    await make_operator(database, hand, scopes=(Scope.READ, Scope.MANAGE))
    await stranger.sign_in()
    there, nowhere = [await stranger.client.get(path) for path in ("/ops", "/ops/jobs/1")]
    assert there.status_code == 403
    assert "for operators" in Sheet(there.text).text
    assert nowhere.status_code in (403, 404)
    assert "does not operate" in (await stranger.see("/")).text


async def test_a_key_opens_no_page(web: Served, hand: Deckhand) -> None:
    async with web.client(hand.keys.operator_key) as client:
        assert (await client.get("/ops")).status_code == 303


async def test_the_start_page_leads_to_the_right_place(stranger: Visitor, operator: Visitor) -> None:
    assert "/sign-in" in (await stranger.see("/")).links
    away = await operator.client.get("/")
    assert (away.status_code, away.headers["Location"]) == (302, "/ops")


async def test_signing_out_ends_the_session(operator: Visitor, database: Database) -> None:
    page = await operator.see("/ops")
    cookie = operator.client.cookies["tapedeck_session"]
    await operator.send(page, "/ops/sign-out")
    operator.client.cookies.set("tapedeck_session", cookie)
    away = await operator.client.get("/ops")
    assert away.headers["Location"].startswith("/sign-in?")
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM sign_in_session"))).scalar_one() == 0


@pytest.mark.parametrize("csrf", [None, "", "x", "AAAA", "é", "A" * 116])
async def test_a_form_that_proves_nothing_does_nothing(operator: Visitor, csrf: str | None) -> None:
    data = {} if csrf is None else {"csrf": csrf}
    refused = await operator.client.post("/ops/sign-out", data=data)
    assert refused.status_code == 403
    assert "Nothing was done" in Sheet(refused.text).text
    assert (await operator.client.get("/ops")).status_code == 200


async def test_a_proof_of_another_session_does_nothing(operator: Visitor, database: Database) -> None:
    old = (await operator.see("/ops")).form("/ops/sign-out")["fields"]
    await operator.sign_in()
    assert (await operator.client.post("/ops/sign-out", data=old)).status_code == 403


async def test_each_page_has_another_proof(operator: Visitor) -> None:
    """So that what is compressed beside it tells nothing about the token."""
    proofs = {(await operator.see("/ops")).form("/ops/sign-out")["fields"]["csrf"] for _ in range(3)}
    assert len(proofs) == 3


async def test_pages_run_no_script_but_ours_and_stand_in_no_frame(operator: Visitor) -> None:
    for path in ("/ops", "/sign-in", "/ops/nothing-here"):
        headers = (await operator.client.get(path, follow_redirects=True)).headers
        policy = headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cache-Control"] == "no-store"


async def test_a_page_that_is_not_there_says_where_to_go(operator: Visitor) -> None:
    answer = await operator.client.get("/ops/nothing-here")
    assert answer.status_code == 404
    assert "/ops" in Sheet(answer.text).links


async def test_who_is_signed_out_on_a_page_comes_back_to_it(stranger: Visitor, web: Served) -> None:
    """Not to the form or the piece of it that was asked for last."""
    page = "/ops/jobs?state=dead"
    for headers in ({"HX-Request": "true", "HX-Current-URL": web.url + page}, {"Referer": web.url + page}):
        away = await stranger.client.post(f"/ops/jobs/{UUID(int=1)}/retry", headers=headers)
        target = away.headers.get("HX-Redirect") or away.headers["Location"]
        assert parse_qs(urlsplit(target).query)["to"] == [page]
    piece = await stranger.client.get(
        "/ops/queues/mask/limits", headers={"HX-Request": "true", "HX-Current-URL": web.url + page}
    )
    assert parse_qs(urlsplit(piece.headers["HX-Redirect"]).query)["to"] == [page]
    assert piece.headers["Cache-Control"] == "no-store"
    elsewhere = await stranger.client.post("/ops/refill", headers={"Referer": "https://evil.example/ops/x"})
    assert parse_qs(urlsplit(elsewhere.headers["Location"]).query)["to"] == ["/ops"]


@pytest.mark.parametrize("path", ["/ops/refill", "/ops/queues/mask/pause", "/ops/sign-out"])
async def test_where_only_a_form_goes_a_page_says_so(operator: Visitor, path: str) -> None:
    answer = await operator.client.get(path)
    assert answer.status_code == 405
    page = Sheet(answer.text)
    assert "This is no page" in page.text
    assert "/ops" in page.links


async def test_a_form_that_is_too_large_says_what_to_do(operator: Visitor) -> None:
    page = {"Referer": str(operator.client.base_url.join("/ops/jobs"))}
    answer = await operator.client.post("/ops/actions", content=b"x" * 200_000, headers=page)
    assert answer.status_code == 413
    said = Sheet(answer.text)
    assert "choose fewer" in said.text
    assert "/ops/jobs" in said.links


async def test_a_form_that_could_not_be_dealt_with_leads_back_by_itself(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> bool:
        raise ApiError(Code.UNAVAILABLE)

    monkeypatch.setattr("app.operating.switch", away)
    fields = (await operator.see("/ops")).form("/ops/queues/mask/pause")["fields"]
    answer = await operator.client.post("/ops/queues/mask/pause", data=fields)
    assert answer.status_code == 503
    assert answer.headers["Refresh"] == "4; url=/ops"  # at its own address there is no page
