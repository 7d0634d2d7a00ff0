"""The rows of one event, by their tables."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar

R = TypeVar("R", bound=tuple[Any, ...])


class Gathered:
    """Rows of one event, by row class."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows = defaultdict[type, list[Any]](list)
        for row in rows:
            self._rows[type(row)].append(row)

    def __contains__(self, row: type) -> bool:
        return row in self._rows

    def __getitem__(self, row: type[R]) -> list[R]:
        return self._rows.get(row, [])

    def one(self, row: type[R]) -> R:
        (found,) = self[row]
        return found

    def sorted(self, row: type[R]) -> list[R]:
        """In the order of their keys, which are the columns up to `position`; no event_no is NULL."""
        width = row._fields.index("position") + 1  # type: ignore[attr-defined]
        return sorted(self[row], key=lambda each: each[:width])
