"""Style, scripts and libraries that pages use, from this process itself: `/ops/static/<name>?v=<digest>`.

Compressed once. With the right digest a browser may keep a file for ever; another version has another address.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from app.errors import ApiError, Code

PATH = "/ops/static"
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file: as it is and gzipped; the digest of its content."""

    media_type: str
    body: bytes
    gzipped: bytes
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """Every file by its name."""
    found = {}
    for file in (files("app.pages") / "static").iterdir():
        media_type = MEDIA_TYPES.get("." + file.name.rpartition(".")[2])
        if media_type is not None:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            found[file.name] = Asset(media_type, body, gzip.compress(body, 9, mtime=0), digest)
    return found


def address_of(name: str) -> str:
    """Where a page finds a file. Raises KeyError: there is none of that name."""
    return f"{PATH}/{name}?v={assets()[name].digest}"


@get("/ops/static/{name:str}", include_in_schema=False, sync_to_thread=False)
def serve(
    request: Request[Any, Any, Any], name: FromPath[str], v: FromQuery[str | None] = None
) -> Response[bytes]:
    """A file. Nothing in it is secret: the sign-in page needs some, too."""
    if (asset := assets().get(name)) is None:
        raise ApiError(Code.NOT_FOUND)
    headers = {"Cache-Control": FOR_EVER if v == asset.digest else "no-cache", "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(asset.body, media_type=asset.media_type, headers=headers)
    return Response(
        asset.gzipped, media_type=asset.media_type, headers=headers | {"Content-Encoding": "gzip"}
    )
