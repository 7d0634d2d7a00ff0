"""Which deck a command talks to: as told, else the one that `tapedeck up` runs from TAPEDECK_HOME."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from app.exits import USAGE, Exit
from settings import HomeSettings

FILE = "credentials.json"


class Credentials(NamedTuple):
    url: str
    api_key: str


class _File(msgspec.Struct):
    """Of what `tapedeck up` writes, the part that a client needs."""

    url: str
    api_key: str | None = None
    operator_key: str | None = None


def find(home: HomeSettings, *, url: str | None, api_key: str | None, operator: bool = False) -> Credentials:
    """The deck to talk to: options before environment before `credentials.json`. Raises Exit.

    `operator`: of the file the key that may operate.

    The file's key goes to the file's own URL only: it is nobody else's business.
    """
    url, api_key = url or home.url, api_key or home.api_key
    if url is None or api_key is None:
        path = home.home / FILE
        found = _read(path)
        if url is None and found is None:
            raise Exit(
                f"no deck to talk to: use --url, set TAPEDECK_URL, or start one with `make up` (no {path})",
                USAGE,
            )
        if api_key is None and found is not None and (url is None or _same(url, found.url)):
            api_key = found.operator_key if operator else found.api_key
        url = url or (found.url if found else None)
    if api_key is None:
        raise Exit(f"no API key for {url}: use --api-key or set TAPEDECK_API_KEY", USAGE)
    return Credentials(_checked(url or ""), _printable(api_key))


def _read(path: Path) -> _File | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Exit(f"{path}: {error}", USAGE) from None


def _same(url: str, other: str) -> bool:
    return url.rstrip("/") == other.rstrip("/")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
        )
    except ValueError:
        fits = False
    if not fits:
        raise Exit(f"{url!r} is no URL of a deck; it looks like http://127.0.0.1:8000", USAGE)
    return url.rstrip("/")


def _printable(api_key: str) -> str:
    if not (api_key.isascii() and api_key.isprintable() and api_key):
        raise Exit("the API key contains characters that no API key has", USAGE)
    return api_key
