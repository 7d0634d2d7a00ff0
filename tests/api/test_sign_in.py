"""Sign-in sessions: getting one, what its cookie opens, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import text

from app.sign_in import BY_ADDRESS, BY_EMAIL
from models import administration, sweep
from models.db import Database
from models.tenancy import Scope, new_secret
from tests.api.conftest import Serve
from tests.api.served import Served
from tests.api.tenants import new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create
from tests.factories import Deckhand, upload

EMAIL, PASSWORD = "kim@example.com", "correct horse battery"
WHO = {"email": EMAIL, "password": PASSWORD}
COOKIES = {"tapedeck_session", "tapedeck_csrf"}
HASH = PasswordHasher().hash(PASSWORD)
ALL = (Scope.INGEST, Scope.READ, Scope.MANAGE)
FORM = {"Content-Type": "text/plain"}


async def make_user(
    db: Database, hand: Deckhand, *scopes: Scope, email: str = EMAIL, password_hash: str | None = HASH
) -> None:
    project = hand.api_key.project_id
    await administration.create_user(
        db, email=email, project_id=project, scopes=scopes, password_hash=password_hash
    )


@pytest.fixture
async def kim(web: Served, database: Database, hand: Deckhand) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of a user who may do everything but operate, signed in."""
    await make_user(database, hand, *ALL)
    async with web.client() as browser:
        signed_in = await browser.post("/login", json=WHO)
        assert signed_in.status_code == 200, signed_in.text
        yield browser


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def cookies_of(answer: httpx.Response) -> dict[str, Any]:
    jar: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("Set-Cookie"):
        jar.load(header)
    return dict(jar)


async def test_a_session_opens_the_recordings_api(
    kim: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    created = await kim.post(PATH, content=upload(), headers={"Content-Type": "application/json"})
    assert created.status_code == 201
    read = (await kim.get(created.headers["Location"])).json()
    assert read["tenant_id"] == str(hand.tenant_id)
    assert read["project_id"] == str(hand.api_key.project_id)
    (user,) = [u for u in await administration.users(database, hand.tenant_id) if u.email == EMAIL]
    assert read["user_id"] == str(user.id)
    listed = await kim.get(PATH)
    assert [one["id"] for one in listed.json()["recordings"]] == [read["id"]]
    assert "Cookie" in listed.headers["Vary"]
    async with database.autocommit() as connection:
        keys = await connection.execute(text("SELECT api_key_id FROM recording"))
        assert keys.scalar_one() is None


async def test_it_says_who_has_signed_in(kim: httpx.AsyncClient, hand: Deckhand) -> None:
    again = await kim.post("/login", json=WHO | {"email": f"  {EMAIL.upper()} "})
    assert again.headers["Cache-Control"] == "no-store"
    said = again.json()
    assert (said["email"], said["scopes"]) == (EMAIL, ["ingest", "read", "manage"])
    assert (said["tenant_id"], said["project_id"]) == (str(hand.tenant_id), str(hand.api_key.project_id))
    assert said["csrf_token"] == again.cookies["tapedeck_csrf"]
    assert again.cookies["tapedeck_session"] not in again.text


async def test_only_the_token_is_out_of_reach_of_scripts(
    serve: Serve, web: Served, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, *ALL)
    for service, secure in ((web, False), (serve(public_url="https://tapes.example.com"), True)):
        async with service.client() as browser:
            cookies = cookies_of(await browser.post("/login", json=WHO))
        assert set(cookies) == COOKIES
        for name, cookie in cookies.items():
            assert cookie["path"] == "/"
            assert cookie["samesite"].lower() == "lax"
            assert bool(cookie["secure"]) is secure
            assert bool(cookie["httponly"]) is (name == "tapedeck_session")
            assert not cookie["domain"]
            assert int(cookie["max-age"]) == 604800


async def test_only_a_hash_of_the_token_is_stored(kim: httpx.AsyncClient, database: Database) -> None:
    async with database.autocommit() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_session, sign_in_tries"))).all()
    assert rows
    for secret in (*kim.cookies.values(), EMAIL, "127.0.0.1"):
        assert secret.encode() not in b"".join(bytes(v) for row in rows for v in row if isinstance(v, bytes))


async def test_a_wrong_password_and_an_unknown_email_are_the_same(
    anyone: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, *ALL)
    await make_user(database, hand, *ALL, email="nobody-signs-in@example.com", password_hash=None)
    answers = []
    for email, password in (
        (EMAIL, "wrong"),
        (EMAIL, ""),
        (EMAIL, PASSWORD + " "),
        ("unknown@example.com", PASSWORD),
        ("nobody-signs-in@example.com", ""),
        ("", ""),
        ("\0", PASSWORD),
        ("x" * 5000, PASSWORD),
    ):
        answer = await anyone.post("/login", json={"email": email, "password": password})
        assert problem(answer) == (401, "unauthorized")
        assert not answer.headers.get_list("Set-Cookie")
        answers.append((answer.text, answer.headers["WWW-Authenticate"]))
    assert len(set(answers)) == 1


async def test_an_unknown_email_costs_as_much_as_a_wrong_password(
    anyone: httpx.AsyncClient, database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the time it takes tells nothing: each is one verification of a hash with the same parameters."""
    await make_user(database, hand, *ALL)
    verified = []
    verify = PasswordHasher.verify

    def counted(hasher: PasswordHasher, hashed: str, password: str) -> bool:
        verified.append(extract_parameters(hashed))
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for email in (EMAIL, "unknown@example.com"):
        await anyone.post("/login", json={"email": email, "password": "wrong"})
    assert len(verified) == 2
    assert verified[0] == verified[1]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"email": "kim@example.com"}', 400),
        (b'{"email": "kim@example.com", "password": 1}', 400),
        (b'{"email": "\xff", "password": "x"}', 400),
        (b'{"email": "\\ud800", "password": "x"}', 400),
        (b"[" * 10_000, 400),
        (b" " * 20_000, 413),
    ],
)
async def test_a_body_that_is_no_credentials_is_refused(
    anyone: httpx.AsyncClient, content: bytes, status: int
) -> None:
    answer = await anyone.post("/login", content=content, headers={"Content-Type": "application/json"})
    assert problem(answer)[0] == status


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        None,
        "text/plain; application/json",
    ],
)
async def test_what_a_form_can_send_is_no_sign_in(
    kim: httpx.AsyncClient, anyone: httpx.AsyncClient, media_type: str | None
) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    content = b'{"email": "%b", "password": "%b"}' % (EMAIL.encode(), PASSWORD.encode())
    answer = await anyone.post("/login", content=content, headers=headers)
    assert problem(answer) == (415, "unsupported_media_type")


async def test_tries_for_one_email_are_limited(
    anyone: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, *ALL)
    await make_user(database, hand, *ALL, email="lee@example.com")
    for _ in range(BY_EMAIL.burst):
        assert (await anyone.post("/login", json=WHO | {"password": "wrong"})).status_code == 401
    for password in ("wrong", PASSWORD):
        refused = await anyone.post("/login", json={"email": EMAIL.title(), "password": password})
        assert problem(refused) == (429, "rate_limited")
        assert 0 < int(refused.headers["Retry-After"]) <= BY_EMAIL.gain_s
    assert (await anyone.post("/login", json=WHO | {"email": "lee@example.com"})).status_code == 200
    async with database.transaction() as session:
        earlier = text("UPDATE sign_in_tries SET forgotten_at = forgotten_at - make_interval(secs => :s)")
        await session.execute(earlier, {"s": BY_EMAIL.gain_s})
    assert (await anyone.post("/login", json=WHO)).status_code == 200
    assert (await anyone.post("/login", json=WHO)).status_code == 429


async def test_tries_from_one_address_are_limited_even_all_at_once(
    anyone: httpx.AsyncClient, serve: Serve, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, *ALL)
    answers = await asyncio.gather(*(anyone.post("/login", json={}) for _ in range(BY_ADDRESS.burst + 5)))
    assert sorted(answer.status_code for answer in answers) == BY_ADDRESS.burst * [400] + 5 * [429]
    async with database.transaction() as session:  # so that none is gained while this test goes on
        await session.execute(text("UPDATE sign_in_tries SET forgotten_at = forgotten_at + interval '1 h'"))
    elsewhere = {"X-Forwarded-For": "192.0.2.7, 203.0.113.9"}
    assert (await anyone.post("/login", json=WHO, headers=elsewhere)).status_code == 429
    proxied = serve(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with proxied.client() as browser:
        assert (await browser.post("/login", json=WHO)).status_code == 429
        assert (await browser.post("/login", json=WHO, headers=elsewhere)).status_code == 200


async def test_a_request_that_changes_something_needs_proof_that_a_page_of_ours_made_it(
    kim: httpx.AsyncClient,
) -> None:
    for headers in (
        FORM,
        {},
        FORM | {"X-CSRF-Token": "x"},
        FORM | {"X-CSRF-Token": "é"},
        FORM | {"X-CSRF-Token": kim.cookies["tapedeck_session"]},
    ):
        refused = await kim.post(
            PATH, content=upload(), headers=[(k.encode(), v.encode()) for k, v in headers.items()]
        )
        assert problem(refused) == (403, "forbidden")
        assert "X-CSRF-Token" in refused.json()["detail"]
    json = {"Content-Type": "application/json; charset=utf-8"}
    token = {"X-CSRF-Token": kim.cookies["tapedeck_csrf"]}
    path = (await kim.post(PATH, content=upload(), headers=json)).headers["Location"]
    assert (await kim.post(PATH, content=upload(), headers=FORM | token)).status_code == 201
    assert (await kim.delete(path)).status_code == 403
    assert (await kim.delete(path, headers=token)).status_code == 204


async def test_a_key_goes_before_a_cookie(kim: httpx.AsyncClient, hand: Deckhand) -> None:
    ingest = {"X-API-Key": hand.keys.ingest_key}
    assert (await kim.get(PATH, headers=ingest)).status_code == 403
    assert (await kim.post(PATH, content=upload(), headers=FORM | ingest)).status_code == 201
    assert (await kim.get(PATH, headers={"X-API-Key": new_secret()})).status_code == 401


async def test_a_session_has_the_scopes_that_its_user_has_now(
    kim: httpx.AsyncClient, database: Database
) -> None:
    token = {"X-CSRF-Token": kim.cookies["tapedeck_csrf"]}
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE user_account SET scopes = '{ingest}' WHERE email = :email"), {"email": EMAIL}
        )
    assert problem(await kim.get(PATH)) == (403, "forbidden")
    path = (await kim.post(PATH, content=upload(), headers=token)).headers["Location"]
    assert set((await kim.get(path)).json()) == {
        "id", "status", "failure", "has_video", "created_at", "updated_at",
    }  # fmt: skip


async def test_without_read_a_session_knows_only_what_its_user_made(
    web: Served, kim: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, Scope.INGEST, email="lee@example.com")
    json = {"Content-Type": "application/json"}
    path = (await kim.post(PATH, content=upload(), headers=json)).headers["Location"]
    async with web.client() as lee:
        await lee.post("/login", json=WHO | {"email": "lee@example.com"})
        assert (await lee.get(path)).status_code == 404
        own = (await lee.post(PATH, content=upload(), headers=json)).headers["Location"]
        assert (await lee.get(own)).status_code == 200


async def test_another_tenants_recordings_stay_hidden(
    kim: httpx.AsyncClient, web: Served, database: Database
) -> None:
    other = await new_tenant(database)
    async with web.client(other.keys.api_key) as api:
        path = await create(api)
    assert (await kim.get(path)).status_code == 404


async def test_signing_out_ends_the_session(kim: httpx.AsyncClient, database: Database) -> None:
    before = dict(kim.cookies)
    refused = await kim.post("/logout")
    assert problem(refused) == (403, "forbidden")
    assert (await kim.get(PATH)).status_code == 200
    out = await kim.post("/logout", headers={"X-CSRF-Token": before["tapedeck_csrf"]})
    assert out.status_code == 204
    assert {name: (c.value, int(c["max-age"])) for name, c in cookies_of(out).items()} == dict.fromkeys(
        COOKIES, ("", 0)
    )
    assert not kim.cookies
    assert (await kim.post("/logout")).status_code == 204
    kim.cookies.update(before)
    assert problem(await kim.get(PATH)) == (401, "unauthorized")


async def test_each_sign_in_is_a_session_of_its_own(kim: httpx.AsyncClient, web: Served) -> None:
    async with web.client() as phone:
        await phone.post("/login", json=WHO)
        assert phone.cookies["tapedeck_session"] != kim.cookies["tapedeck_session"]
        await phone.post("/logout", json={})
        assert (await phone.get(PATH)).status_code == 401
    assert (await kim.get(PATH)).status_code == 200


async def test_revoking_a_user_ends_their_sessions_at_once(
    kim: httpx.AsyncClient, anyone: httpx.AsyncClient, database: Database
) -> None:
    await administration.revoke_user(database, EMAIL)
    refused = await kim.get(PATH)
    assert problem(refused) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await anyone.post("/login", json=WHO)).status_code == 401


@pytest.mark.parametrize("cookie", ["x", "", "x" * 5000, "' OR 1=1 --"])
async def test_a_cookie_that_is_no_session_is_401(anyone: httpx.AsyncClient, cookie: str) -> None:
    answer = await anyone.get(PATH, headers={"Cookie": f"tapedeck_session={cookie}"})
    assert problem(answer) == (401, "unauthorized")


async def test_a_session_ends_when_it_is_not_used_or_is_too_old(
    serve: Serve, database: Database, hand: Deckhand
) -> None:
    await make_user(database, hand, *ALL)
    web = serve(sign_in_idle_s=1000, sign_in_max_s=3000)

    async def later(seconds: float) -> None:
        passed = "created_at = created_at - d, used_at = used_at - d, expires_at = expires_at - d"
        statement = text(f"UPDATE sign_in_session SET {passed.replace('- d', '- make_interval(secs => :s)')}")
        async with database.transaction() as session:
            await session.execute(statement, {"s": seconds})

    async with web.client() as browser:
        await browser.post("/login", json=WHO)
        await later(1001)
        assert (await browser.get(PATH)).status_code == 401
        await browser.post("/login", json=WHO)
        for _ in range(3):
            await later(900)
            assert (await browser.get(PATH)).status_code == 200
        await later(310)
        assert (await browser.get(PATH)).status_code == 401


async def test_what_has_ended_is_swept(kim: httpx.AsyncClient, database: Database) -> None:
    count = text("SELECT (SELECT count(*) FROM sign_in_session), (SELECT count(*) FROM sign_in_tries)")
    assert await sweep.forget_sign_ins(database, limit=100) == 0
    async with database.transaction() as session:
        for change in ("sign_in_session SET expires_at", "sign_in_tries SET forgotten_at"):
            await session.execute(text(f"UPDATE {change} = now() - interval '1 s'"))
    assert await sweep.forget_sign_ins(database, limit=100) == 3
    async with database.autocommit() as connection:
        assert tuple((await connection.execute(count)).one()) == (0, 0)


async def test_other_origins_get_no_credentials(kim: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://evil.example.com"}
    asked = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for answer in (
        await kim.options("/login", headers=asked),
        await kim.get(PATH, headers=origin),
        await kim.post("/login", json=WHO, headers=origin),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_nothing_secret_is_logged(
    web: Served,
    database: Database,
    hand: Deckhand,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await make_user(database, hand, *ALL)
    async with web.client() as browser:
        await browser.post("/login", json=WHO)
        await browser.post("/login", json=WHO | {"password": "another secret"})
        await browser.get(PATH)
        secrets = [PASSWORD, "another secret", *browser.cookies.values()]
    said = "".join(capfd.readouterr()) + caplog.text
    assert not [secret for secret in secrets if secret in said]
