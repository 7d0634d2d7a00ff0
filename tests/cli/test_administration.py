"""Administration from a terminal: against a real database, next to a deck that runs on it."""

import asyncio
import json
import os
import pty
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from app.embedded.places import free_port
from models import administration
from models.db import Database
from tests.api.tenants import new_tenant
from tests.cli.conftest import COMMAND, Tapedeck
from tests.deck import Deck
from tests.factories import Deckhand
from tests.servers import Addresses

OPERATOR = "operator@tapedeck.local"


@pytest.fixture
def admin(deck: Deck, tmp_path: Path) -> Tapedeck:
    """The command where DATABASE_URL is the deck's, without any API key."""
    return Tapedeck(tmp_path, DATABASE_URL=deck.database_url)


@pytest.fixture
async def db(deck: Deck) -> AsyncIterator[Database]:
    """The database of `deck`."""
    db = Database(deck.database_url)
    yield db
    await db.close()


async def status(deck: Deck, key: str) -> int:
    async with deck.client(key) as client:
        return (await client.get("/api/v1/recordings?limit=1")).status_code


async def test_a_key_opens_the_api_until_it_is_revoked(deck: Deck, admin: Tapedeck) -> None:
    created = await admin(
        "keys",
        "create",
        "Dashboards",
        "--user",
        OPERATOR.upper(),
        "--scope",
        "read",
        "--scope",
        "ingest",
        "--json",
    )
    assert (created.status, created.err) == (0, "")
    key = created.json
    assert (key["name"], key["user"], key["scopes"]) == ("Dashboards", OPERATOR, ["ingest", "read"])
    assert key["key"].startswith(key["hint"])
    assert await status(deck, key["key"]) == 200

    listed = await admin("keys", "list", "--json")
    assert {**listed.json["keys"][-1], "key": key["key"]} == key
    assert key["key"].encode() not in listed.out
    shown = (await admin("keys", "list", "--tenant", key["tenant_id"])).out.decode()
    assert f"{key['hint']}…" in shown
    assert key["key"] not in shown

    revoked = await admin("keys", "revoke", key["id"])
    assert (revoked.status, revoked.out.decode()) == (0, f"{key['id']}  revoked\n")
    assert await status(deck, key["key"]) == 401
    again = await admin("keys", "revoke", key["id"])
    assert again.status == 0
    assert b"was revoked before, at 20" in again.out
    at = (await admin("keys", "revoke", key["id"], "--json")).json["revoked"][0]["revoked_at"]
    assert (await admin("keys", "list", "--json")).json["keys"][-1]["revoked_at"] == at
    assert key["id"] not in (await admin("keys", "list", "--valid")).out.decode()


async def test_a_key_is_shown_to_people_once_and_may_ingest_only(deck: Deck, admin: Tapedeck) -> None:
    said = await admin("keys", "create", "Extension", "--user", OPERATOR)
    assert said.status == 0
    assert said.err == "tapedeck: keep the key: it is not shown again\n"
    (secret,) = (line.split()[1] for line in said.out.decode().splitlines() if line.startswith("key "))
    assert await status(deck, secret) == 403
    assert secret not in (await admin("keys", "list")).out.decode()


async def test_several_keys_are_revoked_and_those_that_are_not_there_are_told(admin: Tapedeck) -> None:
    made = [(await admin("keys", "create", "Old", "--user", OPERATOR, "--json")).json["id"] for _ in range(2)]
    absent = str(uuid4())
    said = await admin("keys", "revoke", made[0], absent, made[1], "--json")
    assert said.status == 1
    assert said.err == f"tapedeck: {absent}: there is no such key; see `tapedeck keys list`\n"
    assert [revoked["id"] for revoked in said.json["revoked"]] == made


async def test_a_refusal_names_the_field_and_what_would_be_right(
    deck: Deck, admin: Tapedeck, db: Database
) -> None:
    hand: Deckhand = await new_tenant(db)
    stranger = hand.api_key.project_id
    poor = hand.keys.operator_email
    for arguments, told in (
        (
            ["--user", "nobody@example.com"],
            "user: there is no user nobody@example.com; see `tapedeck users list`",
        ),
        (["--user", "nobody"], "user: must look like name@example.com, with at most 254 characters"),
        (
            ["--user", OPERATOR, "--project", stranger],
            f"project: there is no project {stranger} in the tenant",
        ),
        (["--user", poor], f"scope: {poor} lacks ingest: ask for what they have (none)"),
    ):
        said = await admin("keys", "create", "A key", *arguments)
        assert (said.status, said.out) == (1, b"")
        assert said.err.startswith(f"tapedeck: {told}")
        assert said.err.count("\n") == 1
    assert (await admin("keys", "create", "A key", "--user", OPERATOR, "--scope", "all")).status == 2
    assert (await admin("keys", "revoke", "no-id")).status == 2


async def test_the_embedded_deck_is_found_through_its_home(deck: Deck, tmp_path: Path) -> None:
    tapedeck = Tapedeck(tmp_path)
    (tmp_path / "home").mkdir()
    file = tmp_path / "home" / "credentials.json"
    file.write_text(json.dumps({"url": deck.url, "database_url": deck.database_url}))
    assert deck.keys.api_key[:8].encode() in (await tapedeck("keys", "list")).out
    file.write_text("{}")
    said = await tapedeck("keys", "list")
    assert said.status == 2
    assert str(file) in said.err
    file.unlink()
    said = await tapedeck("keys", "list")
    assert said.status == 2
    assert "set DATABASE_URL" in said.err


async def test_a_database_that_cannot_be_used_is_one_line(servers: Addresses, tmp_path: Path) -> None:
    for url, ends, told in (
        (f"postgresql://127.0.0.1:{free_port()}/x", 3, "cannot reach Postgres"),
        (servers.database("absent"), 2, "does not exist"),
        (servers.database_url, 2, "run `tapedeck migrate`"),
        ("postgresql://127.0.0.1:port/x", 2, "port"),
        ("mysql://127.0.0.1/x", 2, "must be postgresql://"),
    ):
        said = await Tapedeck(tmp_path, DATABASE_URL=url)("keys", "list")
        assert (said.status, said.out) == (ends, b""), said.err
        assert said.err.startswith("tapedeck: DATABASE_URL: ")
        assert told in said.err
        assert said.err.count("\n") == 1


async def test_a_tenant_of_one_s_own_from_nothing_to_a_key_that_works(deck: Deck, admin: Tapedeck) -> None:
    tenant = (await admin("tenants", "create", "Kim's shop", "--json")).json
    project = (await admin("projects", "create", "Checkout", "--tenant", tenant["id"], "--json")).json
    email = f"{tenant['id']}@example.com"
    made = await admin(
        "users", "create", email, "--project", project["id"], "--password", "generate", "--json"
    )
    assert (made.status, made.err) == (0, "")
    user = made.json
    assert (user["tenant_id"], user["default_project_id"]) == (tenant["id"], project["id"])
    assert user["scopes"] == ["ingest", "read", "manage"]
    key = (await admin("keys", "create", "Mine", "--user", email, "--scope", "read", "--json")).json
    async with deck.client(key["key"]) as client:
        assert (await client.get("/api/v1/recordings")).json()["recordings"] == []

    password = user.pop("password")
    listed = await admin("users", "list", "--tenant", tenant["id"], "--json")
    assert listed.json == {"users": [user]}
    assert user["has_password"]
    assert password.encode() not in listed.out
    assert (await admin("projects", "list", "--tenant", tenant["id"], "--json")).json == {
        "projects": [project]
    }
    assert tenant in (await admin("tenants", "list", "--json")).json["tenants"]
    for what, shown in (("tenants", tenant["name"]), ("projects", project["id"]), ("users", email)):
        assert shown in (await admin(what, "list")).out.decode()

    revoked = await admin("users", "revoke", email.upper())
    assert revoked.out.decode() == f"{email}  revoked, and 1 key\n"
    assert await status(deck, key["key"]) == 401
    assert (await admin("users", "revoke", email)).out.decode() == f"{email}  was revoked before\n"
    assert (await admin("users", "revoke", email, "--json")).json == {"email": email, "keys_revoked": 0}
    assert not (await admin("users", "list", "--tenant", tenant["id"], "--json")).json["users"][0][
        "has_password"
    ]


async def test_a_password_is_read_and_only_its_hash_is_stored(admin: Tapedeck, db: Database) -> None:
    hand = await new_tenant(db)
    create = ("users", "create", f"{uuid4()}@example.com", "--project", hand.api_key.project_id)
    for options, stdin, told in (
        ((), b"", "there is nobody to ask"),
        (("--password", "stdin"), b"short\n", "must be 12 to 1024 printable characters"),
        (("--password", "stdin"), b"", "must be 12 to 1024 printable characters"),
        (("--password", "my own password"), b"", "is not one of"),
    ):
        said = await admin(*create, *options, stdin=stdin)
        assert (said.status, said.out) == (2, b"")
        assert told in said.err
    said = await admin(*create, "--password", "stdin", stdin="köhler's own pässword\n".encode())
    assert (said.status, said.err) == (0, "")
    user = (await administration.users(db, hand.tenant_id))[-1]
    assert user.password_hash is not None
    assert PasswordHasher().verify(user.password_hash, "köhler's own pässword")
    said = await admin(*create, "--password", "none")
    assert (said.status, said.err) == (
        1,
        f"tapedeck: email: there is a user {user.email} already: give another\n",
    )


async def test_a_password_is_asked_for_twice_at_a_terminal(admin: Tapedeck, db: Database) -> None:
    hand = await new_tenant(db)
    ours, theirs = pty.openpty()
    email = f"{uuid4()}@example.com"
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "users", "create", email, "--project", str(hand.api_key.project_id)),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
        env=admin.environment,
        start_new_session=True,  # it must not find the terminal that the tests run in
    )
    os.close(theirs)
    shown = b""
    for prompt in (b"Password: ", b"confirmation: "):
        while not shown.endswith(prompt):
            shown += await asyncio.to_thread(os.read, ours, 1000)
        os.write(ours, b"correct horse battery\n")
    out, _ = await process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert email.encode() in out
    assert b"correct" not in shown + out
    user = (await administration.users(db, hand.tenant_id))[-1]
    assert user.password_hash is not None
    assert PasswordHasher().verify(user.password_hash, "correct horse battery")


async def test_a_project_is_told_how_long_it_keeps_recordings(admin: Tapedeck) -> None:
    tenant = (await admin("tenants", "create", "Kim's shop", "--json")).json["id"]
    project = (await admin("projects", "create", "Checkout", "--tenant", tenant, "--json")).json
    assert project["retention_days"] is None
    said = await admin("projects", "retention", project["id"], "90")
    assert (said.status, said.out.decode()) == (0, f"{project['id']}  Checkout  keeps recordings 90 days\n")
    assert "90 days" in (await admin("projects", "list", "--tenant", tenant)).out.decode()
    for days, ends in (("0", 1), ("36501", 1), ("-1", 2), ("a month", 2)):
        said = await admin("projects", "retention", project["id"], days)
        assert (said.status, said.out) == (ends, b"")
    said = await admin("projects", "retention", "--", project["id"], "-1")
    assert said.err == "tapedeck: retention: must be more than 0 and at most 36500 days, or none\n"
    assert (await admin("projects", "retention", project["id"], "0.5", "--json")).json[
        "retention_days"
    ] == 0.5
    said = await admin("projects", "retention", project["id"], "none")
    assert said.out.decode().endswith("keeps recordings for ever\n")
    absent = uuid4()
    said = await admin("projects", "retention", absent, "1")
    assert said.err == f"tapedeck: project: there is no project {absent}; see `tapedeck projects list`\n"


async def test_what_a_project_or_a_user_belongs_to_must_be_there(admin: Tapedeck) -> None:
    absent = uuid4()
    said = await admin("projects", "create", "Shop", "--tenant", absent)
    assert said.err == f"tapedeck: tenant: there is no tenant {absent}; see `tapedeck tenants list`\n"
    said = await admin("users", "create", "kim@example.com", "--project", absent, "--password", "none")
    assert said.err == f"tapedeck: project: there is no project {absent}; see `tapedeck projects list`\n"
    said = await admin("tenants", "create", "")
    assert (said.status, said.err) == (1, "tapedeck: name: must be 1 to 200 printable characters\n")


@pytest.mark.parametrize("command", ["keys", "keys create", "tenants list", "projects", "users revoke"])
async def test_the_exit_status_is_in_the_help(command: str, tapedeck: Tapedeck) -> None:
    assert "Exit status: 0 done" in (await tapedeck(*command.split(), "--help")).out.decode()
