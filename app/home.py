"""TAPEDECK_HOME: what one deck keeps on this machine.

    lock               held by the supervisor and by every program it runs
    secret_key         signs upload URLs
    first_keys.json    of the first tenant, from before it was made
    credentials.json   how to reach the deck, for people and programs; written when it is ready
    postgres/ valkey/  the embedded servers
    objects/           the local storage

Everything that is secret has mode 0600.
"""

import os
import secrets
from pathlib import Path

import msgspec

from app.embedded.lock import InUse, Lock
from app.embedded.places import write_private
from app.exits import Exit

LEFTOVERS_S = 15.0  # how long the programs of a run that was killed may take to end


class Operator(msgspec.Struct):
    """Who may sign in."""

    email: str | None
    password: str | None


class Credentials(msgspec.Struct):
    """`credentials.json`. The keys are null when this deck works on a database that another one has begun."""

    url: str
    api_key: str | None
    ingest_key: str | None
    operator_key: str | None
    operator: Operator
    database_url: str
    redis_url: str
    storage_url: str


class Home:
    """An open home: nobody else runs a deck in it. Close it at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.lock = Lock(self.path / "lock")
        try:
            # Root's servers run as an ordinary user, who must be able to pass through.
            self.path.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
            self.lock.take(wait_s=LEFTOVERS_S)
        except InUse as error:
            raise Exit(f"{error}: stop that deck, or set TAPEDECK_HOME to another folder", 2) from error

    @property
    def first_keys(self) -> Path:
        return self.path / "first_keys.json"

    def read_first_keys(self) -> dict[str, str]:
        """The fields of `models.bootstrap.FirstKeys`; empty when there are none."""
        if not self.first_keys.exists():
            return {}
        return msgspec.json.decode(self.first_keys.read_bytes(), type=dict[str, str])

    def secret_key(self) -> str:
        """This deck's own, made when it is asked for the first time."""
        path = self.path / "secret_key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48).encode())
        return path.read_text()

    def objects_url(self) -> str:
        """The STORAGE_URL of the local storage."""
        folder = self.path / "objects"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder.as_uri()

    def write_credentials(self, url: str, urls: tuple[str, str, str], *, keys_are_known: bool) -> Credentials:
        """Tell where the deck is, with the first tenant's keys. `urls`: of the database, Redis and the storage."""
        keys = self.read_first_keys() if keys_are_known else {}
        credentials = Credentials(
            url,
            keys.get("api_key"),
            keys.get("ingest_key"),
            keys.get("operator_key") or None,
            Operator(keys.get("operator_email"), keys.get("operator_password")),
            *urls,
        )
        content = msgspec.json.format(msgspec.json.encode(credentials), indent=2) + b"\n"
        write_private(self.path / "credentials.json", content)
        return credentials

    def close(self) -> None:
        self.lock.release()
