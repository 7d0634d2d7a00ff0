"""The templates and what they can say: times, durations, sizes and counts, the same on every page.

Everything is escaped; templates mark nothing as safe.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from app import describe
from app.pages.assets import address_of

DASH = "\u2013"


def count(number: int | None) -> str:
    """`1 234 567` with thin spaces; a dash for None."""
    return DASH if number is None else f"{number:,}".replace(",", "\u2009")


def percent(share: float | None) -> str:
    """`12 %`; below one per cent `0.4 %`; a dash for None."""
    if share is None:
        return DASH
    return (
        f"{share:.1%}".replace("%", "\u2009%") if 0 < share < 0.01 else f"{share:.0%}".replace("%", "\u2009%")
    )


def lasting(ms: float | None) -> str:
    """`340 ms`, `1.2 s`, `4 min`, `3 h`, `2 d`: as exact as one needs at a glance; a dash for None."""
    if ms is None:
        return DASH
    if ms < 1000:
        return f"{ms:.0f}\u2009ms"
    seconds = ms / 1000
    for unit, length, last in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86_400)):
        if seconds < last:
            found = seconds / length
            return f"{found:.1f}\u2009{unit}" if found < 10 else f"{found:.0f}\u2009{unit}"
    return f"{seconds / 86_400:.1f}\u2009d"


def size(bytes_: int | None) -> str:
    """`312 B`, `4.1 MB`; a dash for None."""
    return DASH if bytes_ is None else describe.size(bytes_).replace(" ", "\u2009")


def since(at: str | None, now: str) -> float | None:
    """Milliseconds between two timestamps; None without the first."""
    if at is None:
        return None
    return (datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds() * 1000


def moment(at: str | None) -> str:
    """`2026-05-04 10:00:00` (UTC) of a timestamp; a dash for None."""
    return DASH if at is None else at[:19].replace("T", " ")


def per_minute(rate: float) -> str:
    """`0.2`, `12`, `1 234`."""
    return f"{rate:.1f}" if 0 < rate < 10 else count(round(rate))


def bars(values: Sequence[int], most: int) -> str:
    """A path with a bar for each value in a field of `len(values)` by 20; the smallest that is not 0 can be seen."""
    heights = [0 if not value else max(1, value * 20 / most) for value in values]
    return "".join(f"M{n} 20v{-height:.3g}h.8v{height:.3g}z" for n, height in enumerate(heights) if height)


def query(**given: Any) -> str:
    """A query string of what is not None, with its question mark; empty for nothing."""
    kept = {name: value for name, value in given.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""


def _made() -> Environment:
    made = Environment(
        loader=PackageLoader("app.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "count": count,
        "percent": percent,
        "lasting": lasting,
        "size": size,
        "since": since,
        "moment": moment,
        "per_minute": per_minute,
        "bars": bars,
    }
    made.globals |= {"asset": address_of, "query": query}
    made.globals["parts"] = made.get_template(
        "parts.html"
    ).module  # an import is not there when a block stands alone
    return made


ENVIRONMENT = _made()
