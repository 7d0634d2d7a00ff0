"""A deck whose servers are its own: to be broken before an operator's eyes, and mended."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, StorageState
from sqlalchemy import text

from app.embedded import EmbeddedValkey
from models.db import Database
from models.object import ObjectKind
from tests.api.pages.visitor import make_operator
from tests.api.tenants import new_tenant
from tests.browser.room import Room
from tests.deck import Deck
from tests.factories import Deckhand
from tests.promise import dust

SETTINGS = dust.IN_A_HURRY | {"TAPEDECK_MAX_ATTEMPTS": "2", "TAPEDECK_RING_AGAIN_S": "20"}
"""What was rung for and lost is not rung for again before an operator could."""


class Stage:
    """A running deck, a tenant that sends, and browsers of operators."""

    def __init__(
        self, deck: Deck, database: Database, hand: Deckhand, valkey: EmbeddedValkey, browser: Browser
    ) -> None:
        self.deck, self.database, self.hand, self.valkey, self.browser = deck, database, hand, valkey, browser
        self.objects = Path(deck.storage_url.removeprefix("file://"))
        self._session: StorageState | None = None

    @asynccontextmanager
    async def operator(
        self, *, signed_in: bool = True, at: str | None = "/ops", **options: Any
    ) -> AsyncIterator[Room]:
        """A browser of an operator, at this page if they have signed in. In the end nothing may have been complained about."""
        known = self._session if signed_in else None
        context = await self.browser.new_context(storage_state=known, **options)
        try:
            entered = Room(await context.new_page(), self.deck.url)
            if signed_in and known is None:
                await entered.sign_in()
                self._session = await context.storage_state()
            if signed_in and at is not None:
                await entered.go(at)
                await entered.is_live()
            yield entered
            assert not entered.complaints
        finally:
            await context.close()

    async def send(self, count: int = 1, body: bytes | None = None) -> list[str]:
        """Recordings that the deck accepts; their ids."""
        async with self.deck.client(self.hand.keys.api_key) as client:
            return [await dust.send(client, body) for _ in range(count)]

    async def are_ready(self, ids: list[str]) -> None:
        """Until they are."""
        async with self.deck.client(self.hand.keys.api_key) as client:
            assert {one["status"] for one in await dust.settled(client, ids)} == {"ready"}

    async def sql(self, statement: str, **values: Any) -> None:
        """What no operator could do, or only time."""
        async with self.database.transaction() as session:
            await session.execute(text(statement), values)

    @contextmanager
    def storage_away(self) -> Iterator[None]:
        """The directory is gone, then back."""
        elsewhere = self.objects.with_name("away")
        self.objects.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.objects)

    @contextmanager
    def folder_spoiled(self) -> Iterator[None]:
        """A file is where the folder of the tenant's tapes was: storage answers, and refuses."""
        folder = self.objects / ObjectKind.TAPE.value / str(self.hand.tenant_id)
        folder.parent.mkdir(parents=True, exist_ok=True)
        elsewhere = self.objects.with_name("spoiled")
        with suppress(FileNotFoundError):
            folder.rename(elsewhere)
        folder.touch()
        try:
            yield
        finally:
            folder.unlink()
            with suppress(FileNotFoundError):
                elsewhere.rename(folder)

    async def five_minutes_pass(self) -> None:
        """And what failed before is not of late any more."""
        await self.sql("DELETE FROM attempt_tally")


@asynccontextmanager
async def stage(database_url: str, folder: Path, browser: Browser) -> AsyncIterator[Stage]:
    """A deck on an empty database and a Valkey and a storage of its own."""
    with tempfile.TemporaryDirectory(prefix="tapedeck-stage-") as place:
        Path(place).chmod(0o711)  # root's servers run as an ordinary user
        valkey = EmbeddedValkey(Path(place) / "valkey")
        valkey.prepare()
        database = Database(database_url)
        with valkey:
            deck = Deck(folder, database_url, valkey.url, environment=SETTINGS)
            try:
                hand = await new_tenant(database)
                await make_operator(database, hand)
                await deck.start()
                ready = Stage(deck, database, hand, valkey, browser)
                await ready.are_ready(await ready.send())  # there is a worker, and something to see
                yield ready
            finally:
                await asyncio.to_thread(deck.stop)
                await database.close()
