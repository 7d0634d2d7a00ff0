"""`tapedeck doctor`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import typer

from app.commands import terminal
from app.commands.options import Json
from app.doctor import browser, bucket, installation, objects, postgres, redis
from app.doctor.findings import Examination, Finding, Findings, State, examine, fail, line
from app.doctor.installation import SECRET_KEY
from app.exits import REFUSED
from settings import Settings
from storage.open import open_storage
from storage.protocol import Storage, StorageError

STATE_WIDTH, CHECK_WIDTH = 4, 17
TIDY_S = 5.0


def command(as_json: Json = False) -> None:
    """Examine the installation: settings, database, Redis, storage, signed URLs, CORS.

    It is the one that the environment names, or else the deck that `make up` runs. Each line is ok, warn or FAIL and,
    unless all is well, says what to do; any FAIL makes the exit status 1. Nothing is changed but a few small objects
    below doctor/, put and deleted again.

    With --json: {"ok": …, "findings": [{"check", "state": "ok", "warn" or "fail", "says"}, …]}.
    """
    asyncio.run(_tell(as_json))


async def _tell(as_json: bool) -> None:
    found: list[Finding] = []
    hangs = False
    async for examination in _examinations():
        found += examination.findings
        hangs |= examination.hangs
        if not as_json:
            for finding in examination.findings:
                terminal.print_line(_state(finding.state), f"{finding.check:<{CHECK_WIDTH}}", finding.says)
    healthy = all(finding.state is not State.FAIL for finding in found)
    if as_json:
        terminal.write_json({"ok": healthy, "findings": [finding._asdict() for finding in found]})
    status = 0 if healthy else REFUSED
    if hangs:  # perhaps a thread on a dead disk, which no exit in good order would outlive
        sys.stdout.flush()
        os._exit(status)
    if not healthy:
        raise typer.Exit(status)


def _state(state: State) -> str:
    return f"{state.upper() if state is State.FAIL else state.value:<{STATE_WIDTH}}"


async def _examinations() -> AsyncIterator[Examination]:
    """One after the other: what they measure would not be worth much otherwise."""
    found = installation.find()
    settings = found.settings
    yield Examination(found.findings())
    if found.knows("DATABASE_URL"):
        yield await examine("database", postgres.database(settings.database_url))
    if found.knows("REDIS_URL"):
        yield await examine("redis", redis.doorbell(settings.redis_url))
    clients_look_somewhere = found.knows("TAPEDECK_PUBLIC_URL", "HOST", "PORT")
    if clients_look_somewhere:
        yield await examine("web", browser.web(settings.base_url))
    opened: list[Storage] = []
    if found.knows("STORAGE_URL", "STORAGE_EMULATOR_HOST"):
        yield await examine("storage", _open(settings, opened.append))
    for storage in opened:
        trip = await examine("storage", objects.round_trip(storage, settings.storage_url))
        yield trip
        if trip.hangs:
            return  # so would the rest
        yield await examine("bucket", bucket.bucket(storage, settings.cors_origins))
        signed = _signed(storage, settings)
        if not signed.ours or (clients_look_somewhere and found.knows(SECRET_KEY)):
            yield await examine("signing", browser.signed_urls(signed))
        with suppress(TimeoutError):
            async with asyncio.timeout(TIDY_S):
                await storage.close()


async def _open(settings: Settings, take: Callable[[Storage], None]) -> Findings:
    """Hands the storage over once it is open. Opening makes a folder, so not where a disk may be missing."""
    ground = await asyncio.to_thread(objects.ground, settings.storage_url)
    if ground.finding is not None:
        yield ground.finding
    if not ground.may_be_opened:
        return
    try:
        take(
            open_storage(
                settings.storage_url,
                secret_key=settings.secret_key,
                base_url=settings.base_url,
                emulator_host=settings.storage_emulator_host,
                cors_origins=settings.cors_origins,
            )
        )
    except StorageError as error:
        yield fail("storage", f"STORAGE_URL: {line(error)}")


def _signed(storage: Storage, settings: Settings) -> browser.Signed:
    return browser.Signed(
        storage,
        settings.storage_url,
        settings.cors_origins,
        ours=storage.asgi is not None,
        checks_signatures=settings.storage_emulator_host is None,
    )
