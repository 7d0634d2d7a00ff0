"""The OpenAPI document: what the handlers' signatures cannot say, with examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from litestar import HttpMethod, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import ScalarRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    License,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import Method

from app import examples
from app.auth import SESSION_COOKIE
from app.openapi_bodies import CREDENTIALS, ERASE_ORDER, EVENT, MASK_ORDER, SESSION, UPLOAD, array
from app.openapi_complete import RATE_LIMITS, CompleteConfig, Shown, header_objects
from app.openapi_errors import FAILURES as FAILURES
from app.openapi_errors import messages as messages
from app.openapi_errors import problems as problems

JSON, NDJSON = "application/json", "application/x-ndjson"


def also(status: int, shape: type[Any], description: str, example: dict[str, Any]) -> dict[int, ResponseSpec]:
    """Another success of an operation."""
    shown: list[Example] = [Shown(id="example", value=example)]
    return {status: ResponseSpec(shape, generate_examples=False, description=description, examples=shown)}


def _operation(
    summary: str,
    *,
    description: str,
    success: HTTPStatus = HTTPStatus.OK,
    headers: Sequence[str] = (),
    content: Mapping[str, OpenAPIMediaType] | None = None,
    more: Mapping[int, str] | None = None,
    body: RequestBody | None = None,
) -> type[Operation]:
    """A class for `operation_class`. `content` completes the success, `more` adds answers without a body."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.summary = summary
            self.request_body = body or self.request_body
            responses: dict[str, Any] = {
                status: response
                for status, response in (self.responses or {}).items()
                if status != "400"
                or any(one.examples for one in _content(response).values())  # not Litestar's own
            }
            answer = responses[str(int(success))]
            answer.description, answer.headers = description, header_objects(headers)
            if success is HTTPStatus.NO_CONTENT:
                answer.content = None
            for media_type, found in (content or {}).items():
                schema = found.schema or _content(answer)[media_type].schema
                _content(answer)[media_type] = OpenAPIMediaType(schema=schema, examples=found.examples)
            for status, text in (more or {}).items():
                kept = [name for name in headers if not name.startswith("Content-")]
                responses[str(status)] = OpenAPIResponse(text, headers=header_objects(kept))
            self.responses = responses

    return Described


def _content(response: Any) -> dict[str, OpenAPIMediaType]:
    if response.content is None:
        response.content = {}
    content: dict[str, OpenAPIMediaType] = response.content
    return content


def _shown(schema: Schema | None = None, **shown: Any) -> OpenAPIMediaType:
    """A media type with an example for each keyword, named after it."""
    return OpenAPIMediaType(
        schema=schema, examples={name: Shown(value=value) for name, value in shown.items()}
    )


CREATE = _operation(
    "Create a recording",
    success=HTTPStatus.CREATED,
    description="Accepted: durable from now on, whatever happens.",
    headers=("Location", "Idempotency-Replayed", *RATE_LIMITS),
    content={JSON: _shown(created=examples.CREATED, with_video=examples.CREATED_WITH_VIDEO)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={JSON: _shown(UPLOAD, recording=examples.UPLOAD)},
    ),
)
SAVE_REPLAY = _operation(
    "Save a complete session",
    success=HTTPStatus.CREATED,
    description="Accepted: durable from now on, whatever happens. `replayId` is a recording's id.",
    headers=("Location", "Idempotency-Replayed", *RATE_LIMITS),
    content={JSON: _shown(saved=examples.SAVED)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={JSON: _shown(SESSION, session=examples.SESSION)},
    ),
)
LIST = _operation(
    "List recordings",
    description="A page of recordings.",
    headers=("Cache-Control", "Vary"),
    content={JSON: _shown(page=examples.LIST)},
)
READ = _operation(
    "Read a recording",
    description="The recording, or for a key that only has `ingest` its status.",
    headers=("ETag", "Retry-After", "Preference-Applied", "Cache-Control", "Vary"),
    content={JSON: _shown(ready=examples.RECORDING, failed=examples.FAILED, ingest_key=examples.STATUS)},
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
EVENTS = _operation(
    "Read the events",
    description="The events, in playing order.",
    headers=("ETag", "Content-Encoding", "Content-Length", "Cache-Control", "Vary"),
    content={
        JSON: _shown(array(EVENT, "The normalized rrweb events."), events=examples.EVENTS),
        NDJSON: _shown(
            Schema(type=OpenAPIType.STRING, description="One event a line."), lines=examples.EVENT_LINES
        ),
    },
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
LOGS = _operation(
    "Read the logs",
    description="Console, network, client and the rejected events.",
    headers=("ETag", "Content-Encoding", "Content-Length", "Cache-Control", "Vary"),
    content={JSON: _shown(logs=examples.LOGS)},
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
CONFIRM_VIDEO = _operation(
    "Confirm the video",
    description="The recording, or for a key that only has `ingest` its status. The video is verified next.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: _shown(recording=examples.AWAITING_VIDEO, ingest_key=examples.STATUS)},
)
VIDEO_UPLOAD_URL = _operation(
    "Renew the video's upload URL",
    description="A presigned URL: PUT the video there, as a whole, with any content type or none.",
    headers=("Cache-Control",),
    content={JSON: _shown(renewed=examples.UPLOAD_URL)},
)
VIDEO = _operation(
    "Watch the video",
    success=HTTPStatus.TEMPORARY_REDIRECT,
    description="The video is at `Location`, for a while and for GET with Range; no key is needed there.",
    headers=("Location", "Cache-Control"),
)
RETRY = _operation(
    "Retry a failed recording",
    success=HTTPStatus.ACCEPTED,
    description="Back at work.",
    headers=("Location", "Retry-After"),
    content={JSON: _shown(retried=examples.RETRIED)},
)
RELATE = _operation(
    "Write a recording's events as rows",
    success=HTTPStatus.ACCEPTED,
    description="They will be there soon, all at once.",
    headers=("Location",),
    content={JSON: _shown(ready=examples.RELATING)},
)
MASK = _operation(
    "Mask a recording",
    success=HTTPStatus.ACCEPTED,
    description="It will be masked; `Location` says how far that is.",
    headers=("Location", "Retry-After"),
    content={JSON: _shown(pending=examples.MASKING)},
    body=RequestBody(
        description="Without a body: by the project's policy as it is now.",
        content={JSON: _shown(MASK_ORDER, rules=examples.MASK_ORDER)},
    ),
)
MASKING = _operation(
    "Watch a recording being masked",
    description="How far that is.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: _shown(done=examples.MASKING | {"masking": "done"})},
)
DELETE = _operation("Delete a recording", success=HTTPStatus.NO_CONTENT, description="Gone.")
HOLD = _operation("Put a recording on hold", success=HTTPStatus.NO_CONTENT, description="Nothing deletes it.")
RELEASE = _operation("Release a recording", success=HTTPStatus.NO_CONTENT, description="It may be deleted.")
READ_HOLD = _operation(
    "Read a recording's hold",
    description="Whether it is on hold.",
    headers=("Cache-Control", "Vary"),
    content={JSON: _shown(on_hold=examples.HOLD, released=examples.NO_HOLD)},
)
ERASE = _operation(
    "Erase everything of a subject",
    success=HTTPStatus.ACCEPTED,
    description="It goes on by itself; `Location` says how far it is, and has the certificate in the end.",
    headers=("Location", "Retry-After", "Cache-Control"),
    content={JSON: _shown(running=examples.ERASURE_RUNNING)},
    body=RequestBody(
        required=True, content={JSON: _shown(ERASE_ORDER, session={"session_id": "sess_8f3a2c1b"})}
    ),
)
READ_ERASURE = _operation(
    "Read an erasure",
    description="How far it is; once it is done, its certificate.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: _shown(done=examples.ERASURE_DONE, running=examples.ERASURE_RUNNING)},
)

LOGIN = _operation(
    "Sign in",
    description="Signed in, by the cookie that comes with the answer.",
    headers=("Set-Cookie", "Cache-Control"),
    content={JSON: _shown(signed_in=examples.SIGNED_IN)},
    body=RequestBody(required=True, content={JSON: _shown(CREDENTIALS, kim=examples.CREDENTIALS)}),
)
LOGOUT = _operation(
    "Sign out",
    success=HTTPStatus.NO_CONTENT,
    description="There is no session (any more).",
    headers=("Set-Cookie", "Cache-Control"),
)


def _operation_id(handler: HTTPRouteHandler, method: Method, _: Any) -> str:
    """`read_events`, and `head_read_events` for the HEAD of it."""
    name = handler.handler_name
    return f"head_{name}" if method == HttpMethod.HEAD else name


DOCS_PATH = "/docs"

CONFIG = CompleteConfig(
    title="Tapedeck",
    version=version("tapedeck"),
    summary="A backend for browser session recordings: accepted in milliseconds, never lost, never stuck.",
    license=License(name="Apache-2.0", identifier="Apache-2.0"),
    path=DOCS_PATH,
    render_plugins=[ScalarRenderPlugin(version="1", path="/")],
    use_handler_docstrings=True,
    operation_id_creator=_operation_id,
    tags=[
        Tag("Recordings", "Create, watch, read and remove recordings."),
        Tag("Complete sessions", "Save a whole session at once."),
        Tag("Erasures", "Erase everything of somebody, with a certificate."),
        Tag("Sign-in", "Sessions for web pages."),
        Tag("Operations", "How the service is."),
    ],
    components=Components(
        security_schemes={
            "bearer": SecurityScheme(type="http", scheme="bearer", description="An API key: `tdk_…`."),
            "x_api_key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
            "x_seestack_key": SecurityScheme(
                type="apiKey", name="X-SeeStack-Key", security_scheme_in="header"
            ),
            "session": SecurityScheme(
                type="apiKey",
                name=SESSION_COOKIE,
                security_scheme_in="cookie",
                description="A sign-in session. What is not GET or HEAD needs `X-CSRF-Token` (`csrf_token` of the "
                "sign-in, and in the cookie `tapedeck_csrf`) or `Content-Type: application/json`.",
            ),
        }
    ),
)
SECURITY: list[dict[str, list[str]]] = [
    {"bearer": []},
    {"x_api_key": []},
    {"x_seestack_key": []},
    {"session": []},
]


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI document; `/docs` shows it to people."""
    return request.app.openapi_schema.to_schema()
