"""Requests of somebody who can wait: a deck, or a storage, that is away or busy is asked again.

A request may be sent twice, so make only such whose effect comes once.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from app.answers import Unreachable, refused, retry_after_s

_FIRST_DELAY_S, _MAX_DELAY_S = 0.25, 10.0
_BUSY = (429, 502, 503, 504)
_BUSY_CODES = ("idempotency_in_progress",)


class Patience:
    """How long who is asked may be away (connection refused or lost) or busy (429, 503), in all requests together, until
    one of them succeeds. `on_wait` hears why we wait, and for how many seconds."""

    def __init__(self, patience_s: float, on_wait: Callable[[str, float], None]) -> None:
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._away_since: float | None = None

    def ask(
        self,
        http: httpx.Client,
        method: str,
        url: str,
        *,
        who: str,
        hints: dict[str | int, str],
        content: Callable[[], Iterator[bytes]] | None = None,
        stream: bool = False,
        redirect: bool = False,
        **request: Any,
    ) -> httpx.Response:
        """The answer to a request, which is made anew for each attempt; its body is read unless it is to `stream`.

        `who` is asked; `hints` say what to do where it refuses; `redirect`: that is what is wanted. Raises Refused, Unreachable.
        """
        delay_s = _FIRST_DELAY_S
        while True:
            body = content() if content else None
            try:
                answer = http.send(http.build_request(method, url, content=body, **request), stream=True)
                if not (stream and answer.is_success):
                    answer.read()
            except httpx.RequestError as error:
                reason, pause_s = f"cannot reach {who}: {error or type(error).__name__}", None
            else:
                if answer.is_success or (redirect and answer.has_redirect_location):
                    self._away_since = None
                    return answer
                no = refused(answer, hints)
                if answer.status_code not in _BUSY and no.code not in _BUSY_CODES:
                    self._away_since = None
                    raise no
                reason, pause_s = str(no), retry_after_s(answer)
            self._wait(reason, pause_s if pause_s is not None else delay_s * random.uniform(0.5, 1))  # noqa: S311 (jitter)
            delay_s = min(2 * delay_s, _MAX_DELAY_S)

    def _wait(self, reason: str, seconds: float) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now + seconds > self._away_since + self._patience_s:
            raise Unreachable(reason)
        self._on_wait(reason, seconds)
        time.sleep(seconds)
