"""`tapedeck migrate`: what a release does before the new code runs."""

import asyncio
from pathlib import Path

import msgspec
import typer

import settings
from app.embedded.places import write_private
from app.exits import Exit
from models import migrate
from models.bootstrap import FirstKeys, ensure_first_tenant
from models.db import is_away
from settings import SettingsError


def command() -> None:
    """Bring the database that DATABASE_URL names to this version; on an empty one make the first tenant."""
    home = settings.load_home()
    if home.database_url is None:
        raise SettingsError("DATABASE_URL: is not set")
    try:
        if left := migrate.upgrade(home.database_url):
            typer.echo(f"tapedeck: {left}", err=True)
        if home.first_keys is not None:
            _make_first_tenant_with_kept_keys(home.database_url, home.first_keys)
        else:
            _make_first_tenant(home.database_url)
    except Exception as error:
        if is_away(error):
            raise Exit(f"DATABASE_URL: cannot reach Postgres: {str(error).splitlines()[0]}") from error
        raise


def _make_first_tenant(database_url: str) -> None:
    keys = FirstKeys.generate()
    if asyncio.run(ensure_first_tenant(database_url, keys)):
        typer.echo("Made the first tenant. Its keys are shown only once:")
        typer.echo(f"  API key (ingest, read, manage)  {keys.api_key}")
        typer.echo(f"  API key (ingest)                {keys.ingest_key}")
        typer.echo(f"  API key (operate)               {keys.operator_key}")
        typer.echo(f"  Sign-in                         {keys.operator_email}  {keys.operator_password}")


def _make_first_tenant_with_kept_keys(database_url: str, path: Path) -> None:
    # The file comes first: a crash between the two leaves keys without a tenant, which the next run makes.
    if path.exists():
        keys = msgspec.json.decode(path.read_bytes(), type=FirstKeys)
        asyncio.run(ensure_first_tenant(database_url, keys))
        return
    keys = FirstKeys.generate()
    write_private(path, msgspec.json.encode(keys))
    if not asyncio.run(ensure_first_tenant(database_url, keys)):
        path.unlink()  # somebody else's database: these keys open nothing
