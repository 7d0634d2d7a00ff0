"""What Litestar leaves out of the OpenAPI document, or says too narrowly, put right in one pass over what it generates."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Example, OpenAPI, OpenAPIHeader, Schema
from litestar.openapi.spec.enums import OpenAPIType

from app.errors import Code

_HEADERS = {
    "Location": "Where the recording is, or its video, or how far what was asked for is.",
    "Retry-After": "Seconds after which it is worth asking again.",
    "RateLimit-Policy": "The quotas that the request counted against, as a list: `q` requests, or bytes of bodies as sent "
    '(`qu="content-bytes"`), within `w` seconds (draft-ietf-httpapi-ratelimit-headers).',
    "RateLimit": "What is left of them: `r`, and whole again after `t` seconds. In a 429 the last is the one that refused: worth "
    "another try after `t` seconds.",
    "ETag": "Send it back in If-None-Match to get 304 while nothing changed.",
    "Idempotency-Replayed": "`true` when this is the first answer again.",
    "Preference-Applied": "`wait=20`: the preference that was honoured.",
    "WWW-Authenticate": "How to authenticate (RFC 9110).",
    "Accept-Encoding": "The content encodings that are understood.",
    "Vary": "The request headers that the answer depends on.",
    "Cache-Control": "`private, no-cache`: keep it, and revalidate. `no-store`: do not.",
    "Content-Encoding": "`zstd`, `gzip`, or absent.",
    "Content-Length": "Bytes of the body as sent, where known.",
    "Allow": "The methods that there are.",
    "Set-Cookie": "`tapedeck_session` (HttpOnly) and `tapedeck_csrf`.",
    "X-Request-Id": "This request's id, as the logs have it: the UUID that was sent in X-Request-Id, or a new one.",
}
RATE_LIMITS = ("RateLimit-Policy", "RateLimit")
_BEFORE_LIMITS = ("401", "403")
_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "405": ("Allow",),
    "415": ("Accept-Encoding",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
_WORTH_ASKING_AGAIN = {
    Code.NOT_READY.value,
    Code.IDEMPOTENCY_IN_PROGRESS.value,
    Code.VIDEO_NOT_UPLOADED.value,
}
_BOUNDS: dict[str, dict[str, int]] = {
    "from_ms": {"minimum": 0},  # Litestar takes a bound of 0 for none
    "to_ms": {"minimum": 0},
    "Idempotency-Key": {
        "minLength": 1,
        "maxLength": 255,
    },  # checked by the handler, whose problem names the header
}
_LEFT_OUT_WHEN_EMPTY = {
    "Error": {"details"},
    "Problem": {"errors"},
    "Created": {"video_upload_url", "video_upload_expires_at"},
    "Message": {"error"},
}


class Shown(Example):
    """An example as it is: Litestar would drop its nulls, and add an `id` that OpenAPI does not know."""

    def to_schema(self) -> dict[str, Any]:
        """The Example Object."""
        return {"value": self.value}


def header_objects(names: Iterable[str]) -> dict[str, Any]:
    """These headers of an answer, with what they mean."""
    text = Schema(type=OpenAPIType.STRING)
    return {name: OpenAPIHeader(schema=text, description=_HEADERS[name]) for name in names}


@dataclass
class CompleteConfig(OpenAPIConfig):
    """Gives the document in full, to programs and to the pages for people."""

    def to_openapi_schema(self) -> OpenAPI:
        """The document, still without its paths."""
        return _Complete(**vars(super().to_openapi_schema()))


@dataclass
class _Complete(OpenAPI):
    def to_schema(self) -> dict[str, Any]:
        return self._schema

    @cached_property  # making it takes tens of milliseconds, in which the service would do nothing else
    def _schema(self) -> dict[str, Any]:
        document: dict[str, Any] = _any_of(super().to_schema())
        for item in document["paths"].values():
            for operation in item.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] |= _BOUNDS.get(parameter["name"], {})
                is_limited = any(
                    "RateLimit" in one.get("headers", {}) for one in operation["responses"].values()
                )
                for status, response in operation["responses"].items():
                    _add_headers(status, response, is_limited=is_limited)
        for name, schema in document["components"]["schemas"].items():
            if "properties" in schema:  # only answers are components, and they have every field, null or not
                optional = _LEFT_OUT_WHEN_EMPTY.get(name, set())
                schema["required"] = [field for field in schema["properties"] if field not in optional]
        return document


def _any_of(node: Any) -> Any:
    """A copy with `anyOf` for `oneOf`: 3 is an integer and a number, and a recording also has the fields of its status."""
    if isinstance(node, dict):
        return {"anyOf" if key == "oneOf" else key: _any_of(value) for key, value in node.items()}
    return [_any_of(value) for value in node] if isinstance(node, list) else node


def _add_headers(status: str, response: dict[str, Any], *, is_limited: bool) -> None:
    names = ["X-Request-Id", *_OF_STATUS.get(status, ())]
    if is_limited and status not in _BEFORE_LIMITS:
        names += RATE_LIMITS
    codes = {code for content in response.get("content", {}).values() for code in content.get("examples", {})}
    if codes & _WORTH_ASKING_AGAIN:
        names.append("Retry-After")
    more = {name: header.to_schema() for name, header in header_objects(names).items()}
    response["headers"] = response.get("headers", {}) | more
