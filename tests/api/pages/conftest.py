"""An operator who has signed in, as a browser without JavaScript."""

from collections.abc import AsyncIterator

import httpx
import pytest

from models.db import Database
from tests.api.pages.visitor import EMAIL, Visitor, make_operator
from tests.api.served import Served
from tests.factories import Deckhand


@pytest.fixture
async def operator(web: Served, database: Database, hand: Deckhand) -> AsyncIterator[Visitor]:
    """A browser without JavaScript, whose user operates the deck."""
    await make_operator(database, hand)
    async with httpx.AsyncClient(base_url=web.url, timeout=60, trust_env=False) as client:
        visitor = Visitor(client)
        await visitor.sign_in(EMAIL)
        yield visitor
