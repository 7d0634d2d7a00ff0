"""What an exception means for the job that raised it."""

import errno

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.db import Database
from models.recording import FailureCode
from models.retry import FailureKind
from replay.plan import BadRecording
from replay.privacy import BadRules, parse_rules
from storage.protocol import Refused, Unavailable
from workers.failures import ShuttingDown, TookTooLong, failure_of


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (BadRecording("no_valid_events", "None."), FailureKind.BAD_INPUT, FailureCode.NO_VALID_EVENTS),
        (Unavailable("503"), FailureKind.AWAY, FailureCode.STORAGE_UNAVAILABLE),
        (Refused("403"), FailureKind.FAULT, FailureCode.STORAGE_UNAVAILABLE),
        (ConnectionRefusedError(), FailureKind.AWAY, FailureCode.PROCESSING_FAILED),
        (asyncpg.CannotConnectNowError(), FailureKind.AWAY, FailureCode.PROCESSING_FAILED),
        (OSError(errno.ENOSPC, "full"), FailureKind.AWAY, FailureCode.PROCESSING_FAILED),
        (FileNotFoundError(), FailureKind.FAULT, FailureCode.PROCESSING_FAILED),
        (ZeroDivisionError(), FailureKind.FAULT, FailureCode.PROCESSING_FAILED),
        (MemoryError(), FailureKind.LOSS, FailureCode.WORKER_LOST),
        (TookTooLong(), FailureKind.LOSS, FailureCode.WORKER_LOST),
        (ShuttingDown(), FailureKind.STOPPED, FailureCode.PROCESSING_FAILED),
    ],
)
def test_each_error_is_of_one_kind(error: Exception, kind: FailureKind, code: FailureCode) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.code) == (kind, code)
    assert failure.message


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://nobody@127.0.0.1:1/nothing", id="a closed port"),
        pytest.param("postgresql://nobody@/nothing?host=/nowhere", id="no socket"),
        pytest.param("postgresql://nobody@nowhere.invalid/nothing", id="no such host"),
    ],
)
async def test_a_postgres_that_is_not_there_is_away(url: str) -> None:
    with pytest.raises(ConnectionError) as caught:
        await Database(url).ping()
    assert failure_of(caught.value).kind is FailureKind.AWAY


async def test_a_pool_without_a_free_connection_is_away(database_url: str) -> None:
    database = Database(database_url, pool_size=1, limit_s=1)
    async with database.autocommit():
        with pytest.raises(PoolTimeout) as caught:
            await database.ping()
    assert failure_of(caught.value).kind is FailureKind.AWAY
    await database.close()


async def test_a_session_that_is_ended_is_away_and_a_wrong_statement_is_not(database: Database) -> None:
    with pytest.raises(DBAPIError) as ended:
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert failure_of(ended.value).kind is FailureKind.AWAY
    with pytest.raises(DBAPIError) as wrong:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1 / 0"))
    assert failure_of(wrong.value).kind is FailureKind.FAULT


def test_what_postgres_cannot_store_is_replaced() -> None:
    failure = failure_of(BadRecording("payload_unreadable", "a\0b\ud83d"))
    assert failure.message == "a\N{REPLACEMENT CHARACTER}b?"
    detail = failure_of(ValueError("a\0b\ud83d")).detail
    assert "\0" not in detail
    assert detail.encode()


def test_an_error_is_named_with_the_place_in_our_code_that_raised_it() -> None:
    try:
        parse_rules(b"{")
    except BadRules as error:
        failure = failure_of(error)
    assert failure.exception.startswith("replay.privacy.BadRules: ")
    assert failure.place.startswith("replay.privacy:")
    assert failure_of(ValueError("x\0y\nz")).exception == "ValueError: x\N{REPLACEMENT CHARACTER}y z"
    assert failure_of(ValueError()).place == ""
