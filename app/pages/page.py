"""A page: looked up by one function, shown in three ways.

    whole    a document, readable without JavaScript
    live     a stream of server-sent events for a page that is open already (`hx-sse:connect` asks for `text/event-stream`):
             what is in its `<main>`, again whenever it has changed. Events with a name: `away` (it could not be looked
             up; the data says why, and the stream goes on), `signed-out` (the session has ended, and so does the stream).
    a piece  the same `<main>`, for whoever asks with htmx's headers; htmx picks it out of the whole document

A template extends `base.html` and fills its block `main`.
"""

import asyncio
import gzip
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.plugins.htmx import HTMXRequest
from litestar.response import Stream
from litestar.response.sse import ServerSentEventMessage

from app.auth import SESSION_COOKIE, Caller
from app.errors import ApiError, Code, api_error_of
from app.pages.environment import ENVIRONMENT
from app.pages.forms import NOTICE_COOKIE, NOTICE_PATH, proof, taken_notice
from app.services import services_of
from models import sign_in
from models.tenancy import Scope

LIVE_S = 2.0
PATIENCE_S = 4.0  # a look that takes longer is told: what is shown may be so no more
EVENT_STREAM = "text/event-stream"
SOURCE = "main#main"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Accept-Encoding, Cookie",
}
_NOTHING_NEW = b": nothing new\r\n\r\n"  # and so the connection is not idle
_GZIP = zlib.MAX_WBITS | 16

PageRequest = HTMXRequest


@dataclass(frozen=True)
class Page:
    """What a template is to show."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)


Look = Callable[[], Coroutine[Any, Any, Page]]


async def show(request: PageRequest, look: Look, *, every_s: float | None = None) -> Response[Any]:
    """What `look` finds: as a document, or as a stream of what changes, looked at `every_s`, else LIVE_S. All whose pages have one
    address share looks once their streams are open: what is on a page depends on nothing but its address.

    Raises what `look` raises, before anything is sent.
    """
    page = await look()
    return _live(request, page, look, every_s or LIVE_S) if wants_stream(request) else document(request, page)


def wants_stream(request: PageRequest) -> bool:
    """Whether it is `<main>` that asks to be kept up to date: hx-sse has everything that htmx sends ask for a stream, too."""
    is_main = request.headers.get("HX-Source", SOURCE) == SOURCE
    return is_main and EVENT_STREAM in request.headers.get("Accept", "")


def document(
    request: PageRequest, page: Page, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """The whole page."""
    template = ENVIRONMENT.get_template(page.template)
    body = template.render(_context(request, page)).encode()
    sent = HEADERS | dict(headers or {})
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, sent = gzip.compress(body, 6), sent | {"Content-Encoding": "gzip"}
    answer = Response(body, status_code=status, media_type="text/html; charset=utf-8", headers=sent)
    if request.cookies.get(NOTICE_COOKIE):
        answer.delete_cookie(NOTICE_COOKIE, path=NOTICE_PATH)
    return answer


def last_event(data: str, name: str, *, status: int = 200) -> Response[bytes]:
    """A stream that says one thing and is over."""
    return Response(_event(data, name), status_code=status, media_type=EVENT_STREAM, headers=HEADERS)


def cursor_of(request: PageRequest) -> UUID | None:
    """Where a page of a list begins; one that is no id is at the newest."""
    try:
        return UUID(request.query_params.get("cursor", ""))
    except ValueError:
        return None


def _live(request: PageRequest, page: Page, look: Look, every_s: float) -> Stream:
    services = services_of(request)
    if not services.streams.take():
        raise ApiError(Code.OVERLOADED, "Too many live pages are open. This one is still right as of now.")
    compress = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = HEADERS | {"X-Accel-Buffering": "no"} | ({"Content-Encoding": "gzip"} if compress else {})
    events = _events(request, page, look, every_s)
    return Stream(_compressed(events) if compress else events, media_type=EVENT_STREAM, headers=headers)


async def _events(request: PageRequest, page: Page, look: Look, every_s: float) -> AsyncIterator[bytes]:
    services = services_of(request)
    token = request.cookies.get(SESSION_COOKIE, "")
    place = secrets.token_urlsafe()  # that no text of a page can have guessed
    found: Page | None = page
    sent = None
    try:
        while True:
            if found is not None:
                main = _main(request, found, place)
                yield _event(main.replace(place, proof(token))) if main != sent else _NOTHING_NEW
                sent = main
            if await services.streams.stopped(every_s):
                return
            looking = asyncio.ensure_future(_again(request, token, look, every_s))
            try:
                while not (await asyncio.wait([looking], timeout=PATIENCE_S))[0]:
                    sent = None
                    yield _event(f"no answer for {PATIENCE_S:g} s or longer.", "away")
                found = await looking
                if found is None:
                    yield _event("Your session has ended.", "signed-out")
                    return
            except Exception as error:
                found = sent = None  # what is shown stays, and is sent again as soon as it can be looked up
                yield _event(api_error_of(error).detail, "away")
            finally:
                looking.cancel()
    finally:
        services.streams.give()


async def _again(request: PageRequest, token: str, look: Look, every_s: float) -> Page | None:
    """The page as it is now; None when the session has ended."""
    services = services_of(request)
    if not await sign_in.still_may(services.db, token, Scope.OPERATE):
        return None
    return await services.shared.get(here(request), look, fresh_s=every_s / 2)


def _main(request: PageRequest, page: Page, place: str) -> str:
    """What changes of a page; the proof of its forms, another each time, is yet to be put in its `place`."""
    template = ENVIRONMENT.get_template(page.template)
    context = template.new_context(_context(request, page) | {"csrf": place})
    return "".join(template.blocks["main"](context))


def _event(data: str, name: str | None = None) -> bytes:
    return ServerSentEventMessage(data=data, event=name).encode()


async def _compressed(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Each event leaves at once; what it has in common with those before it costs next to nothing."""
    packer = zlib.compressobj(6, wbits=_GZIP)
    async for event in events:
        yield packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def _context(request: PageRequest, page: Page) -> dict[str, Any]:
    caller = request.scope.get("auth")
    return {
        "title": page.title,
        "here": here(request),
        "path": request.url.path,
        "signed_in": isinstance(caller, Caller),
        "csrf": proof(request.cookies.get(SESSION_COOKIE, "")),
        "notice": taken_notice(request),
        "is_wrong": False,
        **page.values,
    }


def here(request: PageRequest) -> str:
    """The address that was asked for."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
