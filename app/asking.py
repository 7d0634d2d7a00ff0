"""Requests that are made until they are answered: `httpx`, patience, and errors that say what to do."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpx

from app.answers import HINTS, NO_HINTS, Unreachable, refused, retry_after_s

_TIMEOUT = httpx.Timeout(60, connect=5)
_FIRST_DELAY_S, _MAX_DELAY_S = 0.25, 10.0
_BUSY = (408, 429, 502, 503, 504)
_BUSY_CODES = ("idempotency_in_progress",)


class Asking:
    """One deck and one API key. Every method raises Refused and Unreachable.

    `patience_s`: how long the deck may be away (connection refused or lost) or busy (429, 503) before a request gives
    up. `on_wait` hears why it waits, and for how many seconds. Every request may be made twice.
    """

    def __init__(
        self, url: str, api_key: str, *, patience_s: float, on_wait: Callable[[str, float], None]
    ) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}", "Accept-Encoding": "zstd, gzip"},
            timeout=_TIMEOUT,
            trust_env=not _is_loopback(url),  # a company's proxy knows nothing of this machine
        )
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._away_since: float | None = None

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The deck's answer. Keywords as `_ask` has them, others as `httpx` has them."""
        return self._ask(self._http, method, path, **request)

    @contextmanager
    def storage(self, method: str, url: str, **request: Any) -> Iterator[httpx.Response]:
        """Storage's answer at a signed URL: that is all the credentials it takes."""
        identity = {"Accept-Encoding": "identity"}
        with httpx.Client(headers=identity, timeout=_TIMEOUT, trust_env=not _is_loopback(url)) as http:
            answer = self._ask(http, method, url, **request)
            try:
                yield answer
            finally:
                answer.close()

    def _ask(
        self,
        http: httpx.Client,
        method: str,
        url: str,
        *,
        content: Callable[[], Iterator[bytes]] | None = None,
        stream: bool = False,
        redirect: bool = False,
        **request: Any,
    ) -> httpx.Response:
        """The answer to a request, which is made anew for each attempt; its body is read unless it is to `stream`.

        `redirect`: that is what is wanted.
        """
        ours = http is self._http
        delay_s = _FIRST_DELAY_S
        while True:
            body = content() if content else None
            try:
                answer = http.send(http.build_request(method, url, content=body, **request), stream=True)
                if not (stream and answer.is_success):
                    answer.read()
            except httpx.RequestError as error:
                where = self._url if ours else f"storage at {httpx.URL(url).host}"
                reason, pause_s = f"cannot reach {where}: {error or type(error).__name__}", None
            else:
                if answer.is_success or (redirect and answer.has_redirect_location):
                    self._away_since = None
                    return answer
                no = refused(answer, HINTS if ours else NO_HINTS)
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


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
