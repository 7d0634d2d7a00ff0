"""The verdict: whether all is well, in a line; else what is wrong (`app.troubles`), the worst first. Values in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.sight import Sight
from app.troubles import CHECKS, Trouble, counted, span


@dataclass(frozen=True)
class Verdict:
    """`summary` is one line."""

    summary: str
    troubles: Sequence[Trouble]

    @property
    def is_well(self) -> bool:
        return not self.troubles


def verdict(sight: Sight) -> Verdict:
    """What is to be said of this moment. What could not be looked at is a trouble, too."""
    found = [trouble for check in CHECKS for trouble in check(sight)]
    troubles = sorted(found, key=lambda trouble: trouble.severity)
    if not troubles:
        return Verdict(f"All is well: {_in_progress(sight)}.", [])
    first, *more = troubles
    return Verdict(f"{first.what} And {len(more)} more." if more else first.what, troubles)


def _in_progress(sight: Sight) -> str:
    known = sight.counted
    if known is None or not known.unfinished:
        return "no recording is in progress"
    oldest = min((one.awaited_since for one in known.jobs if one.awaited_since), default=known.at)
    age = span((known.at - oldest).total_seconds())
    return f"{counted(known.unfinished, 'recording')} in progress, the oldest for {age}"
