"""A deck's operators' API, for commands. Blocking, as `app.client`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from uuid import UUID

from app.answers import decoded
from app.asking import Asking

API = "/api/v1/ops"
PAGE_MAX = 100


class OpsClient:
    """One deck and one operator's key. Use as a context manager. Every method raises Refused and Unreachable.

    `patience_s` and `on_wait` are as `app.asking` has them.
    """

    def __init__(
        self, url: str, api_key: str, *, patience_s: float, on_wait: Callable[[str, float], None]
    ) -> None:
        self.url = url
        self._deck = Asking(url, api_key, patience_s=patience_s, on_wait=on_wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._deck.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What this path says."""
        return decoded(self._deck.ask("GET", API + path, params=dict(params or {})), dict[str, Any])

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """Do what this path does. May be done twice: none has its effect twice, but an action, which finds nothing left."""
        request = {} if body is None else {"json": body}
        return decoded(self._deck.ask("POST", API + path, **request), dict[str, Any])

    def put(self, path: str, body: Any) -> dict[str, Any]:
        """Make it so. May be done twice."""
        return decoded(self._deck.ask("PUT", API + path, json=body), dict[str, Any])

    def pages(
        self, path: str, name: str, params: Mapping[str, Any], limit: int | None
    ) -> Iterator[dict[str, Any]]:
        """Entries of a list, at most `limit`: asked for page by page."""
        cursor, left = None, limit
        while left is None or left > 0:
            size = PAGE_MAX if left is None else min(left, PAGE_MAX)
            page = self.get(path, {**params, "limit": size} | ({"cursor": cursor} if cursor else {}))
            yield from page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return
            if left is not None:
                left -= len(page[name])

    def act(self, verb: str, filter_: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Do this to all jobs that match; with `dry_run` what it would be about."""
        return self.post("/actions", {"verb": verb, "filter": dict(filter_), "dry_run": dry_run})

    def action(self, action_id: UUID | str) -> dict[str, Any]:
        """How far an action is."""
        return self.get(f"/actions/{action_id}")
