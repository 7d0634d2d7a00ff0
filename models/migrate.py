"""The schema: bring a database to what this code needs."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from models import reader

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def upgrade(database_url: str) -> str | None:
    """Apply every migration that is missing. Two at once wait for each other. Runs its own event loop.

    Returns what is left for an administrator to do, in one line.
    """
    command.upgrade(_config(database_url), "head")
    return asyncio.run(reader.allow(database_url))


def head() -> str:
    """The schema version that this code needs."""
    revision = ScriptDirectory.from_config(_config("")).get_current_head()
    if revision is None:
        raise RuntimeError(f"no migrations in {MIGRATIONS}")
    return revision


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    return config
