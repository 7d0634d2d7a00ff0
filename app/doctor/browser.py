"""What clients do without a key: upload and play through signed URLs, from pages of other origins."""

import ipaddress
import secrets
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from app.doctor.findings import Finding, Findings, fail, line, ok, place, warn
from app.doctor.objects import fresh_names
from app.doctor.postgres import of_clock
from storage.protocol import Storage, StorageError

ANSWER_S = 5.0
TTL_S = 300
ANY_ORIGIN = "https://tapedeck-doctor.example"
RECORDED = "video/webm;codecs=vp9,opus"
PLAYED = "video/webm"


class Signed(NamedTuple):
    """Who serves the signed URLs: the deck itself (`ours`), an emulator that checks no signature, or Google."""

    storage: Storage
    url: str
    origins: Sequence[str]
    ours: bool
    checks_signatures: bool


async def web(base_url: str) -> Findings:
    """Does the deck's web process answer where its clients look for it?"""
    async with _client(base_url) as http:
        try:
            answer = await http.get(f"{base_url}/ready")
        except httpx.HTTPError as error:
            yield _unreachable("web", base_url, error)
            return
    if answer.status_code == httpx.codes.OK:
        yield ok("web", f"{base_url} is ready")
    elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        yield fail("web", f"{base_url} runs, but is not ready: {answer.text[:200]}")
    else:
        says = f"{base_url}/ready answers {answer.status_code}: is that the deck? Correct TAPEDECK_PUBLIC_URL"
        yield fail("web", says)


async def signed_urls(signed: Signed) -> Findings:
    """An upload and a playback through signed URLs, as a page of another origin does them."""
    try:
        async with fresh_names(signed.storage, 1) as (name,):
            put_url = signed.storage.sign_put(name, ttl_s=TTL_S)
            get_url = signed.storage.sign_get(name, ttl_s=TTL_S, content_type=PLAYED)
            async with _client(put_url) as http:
                try:
                    started = time.time()
                    answer, problem = await _use(signed, http, name, put_url, get_url)
                    yield problem or _works(put_url, started)
                    yield _of_date(put_url, answer, (started + time.time()) / 2)
                    for origin in signed.origins:
                        yield await _preflight(signed, http, put_url, ANY_ORIGIN if origin == "*" else origin)
                except httpx.HTTPError as error:
                    if signed.ours:
                        yield _unreachable("signing", put_url, error)
                    else:
                        yield fail("signing", f"cannot reach {_origin(put_url)}: {line(error)}")
    except StorageError as error:
        yield fail("signing", f"{line(error)}: see what is said of storage")


async def _use(
    signed: Signed, http: httpx.AsyncClient, name: str, put_url: str, get_url: str
) -> tuple[httpx.Response, Finding | None]:
    """The answer to the upload, and what is wrong."""
    data, origin = secrets.token_bytes(1000), ANY_ORIGIN if "*" in signed.origins else signed.origins[0]
    put = await http.put(put_url, content=data, headers={"origin": origin, "content-type": RECORDED})
    if put.status_code != httpx.codes.OK:
        return put, fail("signing", _refused_put(signed, put_url, put))
    stored = await signed.storage.stat(name)
    if stored is None or stored.size != len(data):
        says = f"{_origin(put_url)} took an upload that is not in {place(signed.url)}: let all processes have one STORAGE_URL"
        return put, fail("signing", says)
    got = await http.get(get_url, headers={"origin": origin, "range": "bytes=100-199"})
    if got.status_code != httpx.codes.PARTIAL_CONTENT or got.content != data[100:200]:
        says = f"GET of a range through a signed URL answers {got.status_code}, not 206 with its bytes: does a proxy drop Range?"
        return put, fail("signing", says)
    if not got.headers.get("content-type", "").startswith(PLAYED):
        says = f"a signed URL for {PLAYED} answers {got.headers.get('content-type')}: does a proxy change it?"
        return put, fail("signing", says)
    if signed.checks_signatures:
        changed = await http.get(get_url[:-1] + ("0" if get_url[-1] != "0" else "1"))
        if changed.is_success:
            says = f"{_origin(get_url)} serves a URL whose signature was changed: anybody can read everything"
            return put, fail("signing", says)
    return put, None


def _works(url: str, started: float) -> Finding:
    took_ms = (time.time() - started) * 1000
    says = f"PUT and GET with Range through signed URLs at {_origin(url)} work ({took_ms:.0f} ms)"
    return ok("signing", says)


def _refused_put(signed: Signed, url: str, answer: httpx.Response) -> str:
    says = f"PUT through a signed URL at {_origin(url)} answers {answer.status_code}"
    if signed.ours and answer.status_code == httpx.codes.FORBIDDEN:
        return f"{says}: give the web process the TAPEDECK_SECRET_KEY of this environment, and restart it"
    if signed.ours and answer.status_code == httpx.codes.NOT_FOUND:
        return f"{says}: is that the deck, with the same STORAGE_URL? Correct TAPEDECK_PUBLIC_URL"
    if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return f"{says}: let the proxy pass large bodies"
    return f"{says}: {' '.join(answer.text.split())[:200]}"


def _of_date(url: str, answer: httpx.Response, now: float) -> Finding:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return warn("clock", f"{_origin(url)} sends no Date: compare its clock yourself")
    return of_clock(_origin(url), theirs - now)


async def _preflight(signed: Signed, http: httpx.AsyncClient, url: str, origin: str) -> Finding:
    asked = {
        "origin": origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "content-type",
    }
    answer = await http.options(url, headers=asked)
    missing = _missing(answer.headers, origin) if answer.is_success else f"it answers {answer.status_code}"
    if missing is None:
        return ok("preflight", f"{_origin(url)} lets pages of {origin} upload")
    remedy = "TAPEDECK_CORS_ORIGINS, and a proxy that answers OPTIONS" if signed.ours else "the bucket's CORS"
    return fail(
        "preflight", f"{_origin(url)} does not let pages of {origin} upload ({missing}): see {remedy}"
    )


def _missing(headers: Mapping[str, str], origin: str) -> str | None:
    """What the answer to a preflight lacks for a PUT with a content type."""
    if headers.get("access-control-allow-origin") not in ("*", origin):
        return "the origin is not allowed"
    if not _lists(headers.get("access-control-allow-methods", ""), "put"):
        return "PUT is not allowed"
    if not _lists(headers.get("access-control-allow-headers", ""), "content-type"):
        return "Content-Type is not allowed"
    return None


def _lists(header: str, value: str) -> bool:
    return any(part.strip().lower() in ("*", value) for part in header.split(","))


def _unreachable(check: str, url: str, error: httpx.HTTPError) -> Finding:
    """A deck that does not run is no fault of the installation."""
    if _is_of_tls(error):
        return fail(check, f"{_origin(url)}: {line(error)}: let its certificate fit its name")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return warn(check, f"nobody answers at {_origin(url)} ({line(error)}): start web, then examine again")
    says = f"{_origin(url)} takes connections and does not answer ({line(error)}): see what web, or a proxy, does"
    return fail(check, says)


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=ANSWER_S, trust_env=not _is_near(url))


def _is_near(url: str) -> bool:
    """Whether no proxy can stand before it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
