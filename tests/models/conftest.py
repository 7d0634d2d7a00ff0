"""What the tests of models/ share."""

import pytest

from models.db import Database
from tests.factories import Deckhand, first_tenant


@pytest.fixture
async def hand(database: Database, database_url: str) -> Deckhand:
    """The first tenant."""
    return await first_tenant(database, database_url)
