"""Hours as bars: what `data-chart` of a page takes (`pages.js`)."""

import json
from collections.abc import Sequence
from datetime import datetime

from app.ops_documents import HourDocument
from models.conservation import HOUR

COLOURS = {"accepted": "accent", "in_progress": "warn", "failed": "bad"}


def bars_of(found: Sequence[HourDocument], now: datetime, hours: int) -> str:
    """JSON: `x` in Unix seconds, and a series for each of COLOURS, of each of so many hours, also of those with nothing."""
    this = now.replace(minute=0, second=0, microsecond=0)
    by_hour = {datetime.fromisoformat(one.hour): one for one in found}
    each = [this - back * HOUR for back in reversed(range(hours))]
    series = [
        {
            "label": name.replace("_", " "),
            "colour": colour,
            "values": [getattr(by_hour.get(hour), name, 0) or None for hour in each],
        }
        for name, colour in COLOURS.items()
    ]
    return json.dumps({"x": [int(hour.timestamp()) for hour in each], "series": series})
