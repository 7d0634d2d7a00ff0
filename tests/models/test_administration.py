"""Administration: what always holds, and what becomes of two at once."""

import asyncio
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import administration, queries
from models.administration import Absent, Made, Refused
from models.db import Database
from models.tenancy import Scope, Tenant, User
from tests.factories import Deckhand

ALL = tuple(Scope)


async def new_user(
    database: Database, *scopes: Scope, email: str = "kim@example.com", password_hash: str | None = None
) -> User:
    """A user of a tenant of their own."""
    tenant = await administration.create_tenant(database, "Kim's")
    project = await administration.create_project(database, tenant.id, "Shop")
    return await administration.create_user(
        database, email=email, project_id=project.id, scopes=scopes, password_hash=password_hash
    )


async def new_key(database: Database, email: str, *scopes: Scope, project_id: UUID | None = None) -> Made:
    return await administration.create_key(
        database, name="A key", email=email, scopes=scopes, project_id=project_id
    )


async def test_a_key_belongs_to_what_its_user_belongs_to(database: Database, hand: Deckhand) -> None:
    user = await new_user(database, Scope.READ, Scope.INGEST)
    made = await new_key(database, user.email, Scope.READ)
    found = await queries.api_key(database, made.secret)
    assert found is not None
    assert (found.tenant_id, found.project_id, found.user_id) == (
        user.tenant_id,
        user.default_project_id,
        user.id,
    )
    assert made.secret not in repr(await administration.keys(database))
    of_kim = await administration.keys(database, user.tenant_id)
    assert made.secret.startswith(of_kim[0].key.hint)
    assert [(owned.key.id, owned.project, owned.email) for owned in of_kim] == [
        (found.id, "Shop", "kim@example.com")
    ]


async def test_a_key_s_project_is_of_its_user_s_tenant(database: Database, hand: Deckhand) -> None:
    user = await new_user(database, Scope.INGEST)
    second = await administration.create_project(database, user.tenant_id, "Second")
    made = await new_key(database, user.email, Scope.INGEST, project_id=second.id)
    assert made.owned.key.project_id == second.id
    for stranger in (hand.api_key.project_id, uuid4()):
        with pytest.raises(Absent, match="no project") as refused:
            await new_key(database, user.email, Scope.INGEST, project_id=stranger)
        assert refused.value.field == "project"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(ALL), min_size=1))
async def test_nobody_gives_a_scope_that_they_lack(
    database: Database, has: set[Scope], asked: set[Scope]
) -> None:
    user = await new_user(database, *has, email=f"{uuid4()}@example.com")
    if asked <= has:
        made = await new_key(database, user.email, *asked)
        assert set(made.owned.key.scopes) == asked
        return
    with pytest.raises(Refused, match="lacks") as refused:
        await new_key(database, user.email, *asked)
    assert refused.value.field == "scope"
    assert await administration.keys(database, user.tenant_id) == []


async def test_a_key_without_scopes_is_refused(database: Database) -> None:
    user = await new_user(database, *ALL)
    with pytest.raises(Refused, match="at least one"):
        await new_key(database, user.email)


async def test_emails_know_no_case(database: Database) -> None:
    user = await new_user(database, Scope.READ, email=" Kim@Example.COM ")
    assert user.email == "kim@example.com"
    assert (await new_key(database, "KIM@example.com", Scope.READ)).owned.email == "kim@example.com"
    with pytest.raises(Refused, match="already") as refused:
        await new_user(database, email="KIM@EXAMPLE.COM")
    assert refused.value.field == "email"


async def test_of_two_users_with_one_email_one_is_made(database: Database) -> None:
    made = await asyncio.gather(*(new_user(database) for _ in range(4)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in made) == ["Refused"] * 3 + ["User"]
    assert len(await administration.users(database)) == 1


@pytest.mark.parametrize(
    "email", ["", "kim", "@example.com", "kim@", "a b@example.com", "k\udc80@x", "k\0@x"]
)
async def test_what_is_no_email_is_refused(email: str, database: Database) -> None:
    with pytest.raises(Refused) as refused:
        await new_user(database, email=email)
    assert refused.value.field == "email"
    with pytest.raises(Refused) as refused:
        await new_key(database, email, Scope.READ)
    assert refused.value.field == "user"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\x1b[1m", "a\0", "\udc80"])
async def test_a_name_is_short_and_printable(name: str, database: Database) -> None:
    with pytest.raises(Refused) as refused:
        await administration.create_tenant(database, name)
    assert refused.value.field == "name"
    assert await administration.tenants(database) == []


async def test_what_is_absent_is_told_by_its_field(database: Database) -> None:
    with pytest.raises(Absent) as absent:
        await administration.create_project(database, uuid4(), "Shop")
    assert absent.value.field == "tenant"
    with pytest.raises(Absent) as absent:
        await administration.create_user(
            database, email="kim@example.com", project_id=uuid4(), scopes=(), password_hash=None
        )
    assert absent.value.field == "project"
    for work in (
        new_key(database, "kim@example.com", Scope.READ),
        administration.revoke_user(database, "k@x"),
    ):
        with pytest.raises(Absent) as absent:
            await work
        assert absent.value.field == "user"
    assert await administration.revoke_key(database, uuid4()) is None


async def test_a_key_is_revoked_once(database: Database) -> None:
    user = await new_user(database, Scope.READ)
    made, other = (
        await new_key(database, user.email, Scope.READ),
        await new_key(database, user.email, Scope.READ),
    )
    key_id = made.owned.key.id
    revoked = [
        found
        for found in await asyncio.gather(*(administration.revoke_key(database, key_id) for _ in range(4)))
        if found
    ]
    assert sorted(found.before for found in revoked) == [False, True, True, True]
    assert len({found.at for found in revoked}) == 1
    assert await queries.api_key(database, made.secret) is None
    assert await queries.api_key(database, other.secret) is not None
    assert [owned.key.id for owned in await administration.keys(database)] == [key_id, other.owned.key.id]
    assert [owned.key.id for owned in await administration.keys(database, revoked=False)] == [
        other.owned.key.id
    ]


async def test_a_revoked_user_has_nothing_left(database: Database, hand: Deckhand) -> None:
    user = await new_user(database, Scope.READ, password_hash="$argon2id$…")
    secrets = [(await new_key(database, user.email, Scope.READ)).secret for _ in range(2)]
    assert await administration.revoke_user(database, "KIM@example.com") == 2
    assert [await queries.api_key(database, secret) for secret in secrets] == [None, None]
    (found,) = await administration.users(database, user.tenant_id)
    assert (found.scopes, found.password_hash) == ([], None)
    with pytest.raises(Refused, match=r"what they have \(none\)"):
        await new_key(database, user.email, Scope.READ)
    assert await administration.revoke_user(database, user.email) is None
    assert await queries.api_key(database, hand.keys.api_key) is not None


async def test_no_key_outlives_its_user_s_revocation(database: Database) -> None:
    user = await new_user(database, Scope.READ)
    made = await asyncio.gather(
        *(new_key(database, user.email, Scope.READ) for _ in range(6)),
        administration.revoke_user(database, user.email),
        *(new_key(database, user.email, Scope.READ) for _ in range(6)),
        return_exceptions=True,
    )
    for result in made:
        assert result is None or isinstance(result, int | Made | Refused)
    assert await administration.keys(database, revoked=False) == []


async def test_lists_are_of_one_tenant_or_of_all(database: Database, hand: Deckhand) -> None:
    user = await new_user(database, Scope.READ)
    assert [type(tenant) for tenant in await administration.tenants(database)] == [Tenant, Tenant]
    for found in (administration.users, administration.projects):
        assert len(await found(database)) == 2
        assert [row.tenant_id for row in await found(database, user.tenant_id)] == [user.tenant_id]
        assert await found(database, uuid4()) == []
