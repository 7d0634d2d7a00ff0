"""Which installation to examine: the environment's, or else that of the deck that `tapedeck up` runs from TAPEDECK_HOME.

A wrong setting is a finding, and does not keep the rest from being examined.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

import settings
from app.credentials import FILE
from app.doctor.findings import Finding, fail, line, ok, warn
from settings import HomeSettings, Settings, SettingsError

T = TypeVar("T", Settings, HomeSettings)

NEEDED = ("DATABASE_URL", "REDIS_URL", "STORAGE_URL")
SECRET_KEY = "TAPEDECK_SECRET_KEY"  # noqa: S105 (its name)
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 (to find, not to bind)
FEWEST_CHARACTERS = 8  # different ones, in a key that somebody generated
# What stands in for a setting without default, so that the others can be read. Nobody uses it.
STAND_INS = {
    "DATABASE_URL": "postgresql://unknown",
    "REDIS_URL": "redis://unknown",
    "STORAGE_URL": "file:///unknown",
    SECRET_KEY: "x" * 32,
}


class _File(msgspec.Struct):
    """Of what `tapedeck up` writes, the part that leads to its servers."""

    url: str
    database_url: str
    redis_url: str
    storage_url: str


@dataclass
class Installation:
    """The settings, and what is wrong with them by variable. What a variable in `problems` says is a stand-in."""

    settings: Settings
    source: str
    problems: dict[str, str] = field(default_factory=dict)

    def knows(self, *variables: str) -> bool:
        return not self.problems.keys() & set(variables)

    def findings(self) -> list[Finding]:
        """What is to be said of the settings themselves."""
        found = [fail("settings", f"{name}: {problem}") for name, problem in self.problems.items()]
        if not found:
            found.append(ok("settings", f"from {self.source}"))
        if urlsplit(self.settings.base_url).hostname in ANYWHERE:
            says = (
                f"clients are sent to {self.settings.base_url}, which leads nowhere: set TAPEDECK_PUBLIC_URL"
            )
            found.append(fail("settings", says))
        if self.knows(SECRET_KEY):
            found.append(_of_secret_key(self.settings.secret_key))
        return found


def find() -> Installation:
    """The installation that the commands of this environment work on. Raises nothing."""
    problems: dict[str, str] = {}
    home = _leniently(settings.load_home, HomeSettings, {}, problems)
    given = {"DATABASE_URL": home.database_url, "REDIS_URL": home.redis_url, "STORAGE_URL": home.storage_url}
    overrides: dict[str, Any] = {name: url for name, url in given.items() if url is not None}
    complete = len(overrides) == len(NEEDED)
    source = "the environment" if complete else _read_home(home, overrides, problems)
    for name in problems.keys() & STAND_INS.keys():
        overrides[_keyword(name)] = STAND_INS[name]
    configured = _leniently(settings.load, Settings, overrides, problems)
    return Installation(configured, source, problems)


def _read_home(home: HomeSettings, overrides: dict[str, Any], problems: dict[str, str]) -> str:
    """What the embedded deck has of its own, into `overrides`; where that is from."""
    path, key = home.home / FILE, home.home / "secret_key"
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
        if home.secret_key is None and key.exists():
            overrides["secret_key"] = key.read_text()
    except (OSError, ValueError) as error:
        for name in NEEDED:
            if name not in overrides:
                reason = error.strerror if isinstance(error, OSError) else line(error)
                says = f"is not set (and {path}: {reason}): set it, or start a deck with `make up`"
                problems.setdefault(name, says)
        return str(path)
    for name, url in zip(NEEDED, (file.database_url, file.redis_url, file.storage_url), strict=True):
        overrides.setdefault(name, url)
    if home.public_url is None:
        overrides["public_url"] = file.url
    return str(path)


def _leniently(
    load: Callable[..., T], model: type[T], overrides: dict[str, Any], problems: dict[str, str]
) -> T:
    """The settings, with a default or a stand-in for each that is wrong."""
    while True:
        try:
            return load(**overrides)
        except SettingsError as error:
            name, _, problem = str(error).partition(": ")
            problems.setdefault(name, problem)
            overrides[_keyword(name)] = _stand_in(model, name)


def _stand_in(model: type[Settings | HomeSettings], name: str) -> Any:
    keyword = _keyword(name)
    for own, known in model.model_fields.items():
        if keyword in (own, known.alias) and not known.is_required():
            return known.default
    return STAND_INS[name]


def _keyword(name: str) -> str:
    """What a variable is called when it is given to `settings.load`."""
    return name.removeprefix("TAPEDECK_").lower() if name.startswith("TAPEDECK_") else name


def _of_secret_key(key: str) -> Finding:
    if len(set(key)) < FEWEST_CHARACTERS:
        says = f"{SECRET_KEY} can be guessed: make one with `openssl rand -base64 48`, the same for all processes"
        return warn("secret key", says)
    return ok("secret key", f"{len(key)} characters")
