"""How the data of increments become rows: one implementation for each structure, found by the source."""

from collections.abc import Generator
from typing import Any, Protocol

from replay.relations.gathered import Gathered

Rows = Generator[tuple[Any, ...], None, str | None]


class Increment(Protocol):
    """The data of increments of some sources. `source` itself, and the rest, are the incremental_snapshot_event's."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        """The rows of these data; returns their rest."""

    def data_of(self, found: Gathered) -> dict[str, Any]:
        """The data again, but for their rest."""
