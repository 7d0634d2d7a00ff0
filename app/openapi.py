"""The OpenAPI document: what the handlers' signatures cannot say, with examples."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from litestar import HttpMethod, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import ScalarRenderPlugin
from litestar.openapi.spec import (
    Components,
    License,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import Method

from app import examples
from app.auth import SESSION_COOKIE
from app.openapi_bodies import (
    BATCH,
    CHUNK,
    CREDENTIALS,
    ERASE_ORDER,
    EVENT,
    MASK_ORDER,
    SESSION,
    UPLOAD,
    array,
)
from app.openapi_complete import RATE_LIMITS, CompleteConfig
from app.openapi_errors import FAILURES as FAILURES
from app.openapi_errors import envelopes as envelopes
from app.openapi_errors import messages as messages
from app.openapi_errors import problems as problems
from app.openapi_operation import also as also
from app.openapi_operation import operation, shown

JSON, NDJSON = "application/json", "application/x-ndjson"


CREATE = operation(
    "Create a recording",
    success=HTTPStatus.CREATED,
    description="Accepted: durable from now on, whatever happens.",
    headers=("Location", "Idempotency-Replayed", *RATE_LIMITS),
    content={JSON: shown(created=examples.CREATED, with_video=examples.CREATED_WITH_VIDEO)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={JSON: shown(UPLOAD, recording=examples.UPLOAD)},
    ),
)
SAVE_REPLAY = operation(
    "Save a complete session",
    success=HTTPStatus.CREATED,
    description="Accepted: durable from now on, whatever happens. `replayId` is a recording's id.",
    headers=("Location", "Idempotency-Replayed", *RATE_LIMITS),
    content={JSON: shown(saved=examples.SAVED)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={JSON: shown(SESSION, session=examples.SESSION)},
    ),
)
INGEST = operation(
    "Send a batch of a live session",
    success=HTTPStatus.ACCEPTED,
    description="Accepted: durable from now on, whatever happens.",
    headers=RATE_LIMITS,
    content={JSON: shown(received=examples.INGESTED)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={
            JSON: shown(BATCH, batch=examples.BATCH),
            "text/plain": shown(Schema(type=OpenAPIType.STRING, description="The same, for beacons.")),
        },
    ),
)
APPEND = operation(
    "Add a chunk to an open recording",
    success=HTTPStatus.ACCEPTED,
    description="Accepted: durable from now on, whatever happens.",
    headers=RATE_LIMITS,
    content={JSON: shown(received=examples.CHUNK_RECEIVED)},
    body=RequestBody(
        required=True,
        description="May come with Content-Encoding gzip, deflate or zstd.",
        content={JSON: shown(CHUNK, chunk=examples.CHUNK)},
    ),
)
FINISH = operation(
    "Finish an open recording",
    success=HTTPStatus.ACCEPTED,
    description="It takes nothing more, and is processed now.",
    headers=("Location", "Retry-After"),
    content={JSON: shown(finished=examples.FINISHED)},
)
LIST = operation(
    "List recordings",
    description="A page of recordings.",
    headers=("Cache-Control", "Vary"),
    content={JSON: shown(page=examples.LIST)},
)
READ = operation(
    "Read a recording",
    description="The recording, or for a key that only has `ingest` its status.",
    headers=("ETag", "Retry-After", "Preference-Applied", "Cache-Control", "Vary"),
    content={JSON: shown(ready=examples.RECORDING, failed=examples.FAILED, ingest_key=examples.STATUS)},
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
EVENTS = operation(
    "Read the events",
    description="The events, in playing order.",
    headers=("ETag", "Content-Encoding", "Content-Length", "Cache-Control", "Vary"),
    content={
        JSON: shown(array(EVENT, "The normalized rrweb events."), events=examples.EVENTS),
        NDJSON: shown(
            Schema(type=OpenAPIType.STRING, description="One event a line."), lines=examples.EVENT_LINES
        ),
    },
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
LOGS = operation(
    "Read the logs",
    description="Console, network, client and the rejected events.",
    headers=("ETag", "Content-Encoding", "Content-Length", "Cache-Control", "Vary"),
    content={JSON: shown(logs=examples.LOGS)},
    more={304: "Nothing changed since the ETag in If-None-Match."},
)
CONFIRM_VIDEO = operation(
    "Confirm the video",
    description="The recording, or for a key that only has `ingest` its status. The video is verified next.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: shown(recording=examples.AWAITING_VIDEO, ingest_key=examples.STATUS)},
)
VIDEO_UPLOAD_URL = operation(
    "Renew the video's upload URL",
    description="A presigned URL: PUT the video there, as a whole, with any content type or none.",
    headers=("Cache-Control",),
    content={JSON: shown(renewed=examples.UPLOAD_URL)},
)
VIDEO = operation(
    "Watch the video",
    success=HTTPStatus.TEMPORARY_REDIRECT,
    description="The video is at `Location`, for a while and for GET with Range; no key is needed there.",
    headers=("Location", "Cache-Control"),
)
RETRY = operation(
    "Retry a failed recording",
    success=HTTPStatus.ACCEPTED,
    description="Back at work.",
    headers=("Location", "Retry-After"),
    content={JSON: shown(retried=examples.RETRIED)},
)
RELATE = operation(
    "Write a recording's events as rows",
    success=HTTPStatus.ACCEPTED,
    description="They will be there soon, all at once.",
    headers=("Location",),
    content={JSON: shown(ready=examples.RELATING)},
)
MASK = operation(
    "Mask a recording",
    success=HTTPStatus.ACCEPTED,
    description="It will be masked; `Location` says how far that is.",
    headers=("Location", "Retry-After"),
    content={JSON: shown(pending=examples.MASKING)},
    body=RequestBody(
        description="Without a body: by the project's policy as it is now.",
        content={JSON: shown(MASK_ORDER, rules=examples.MASK_ORDER)},
    ),
)
MASKING = operation(
    "Watch a recording being masked",
    description="How far that is.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: shown(done=examples.MASKING | {"masking": "done"})},
)
DELETE = operation("Delete a recording", success=HTTPStatus.NO_CONTENT, description="Gone.")
HOLD = operation("Put a recording on hold", success=HTTPStatus.NO_CONTENT, description="Nothing deletes it.")
RELEASE = operation("Release a recording", success=HTTPStatus.NO_CONTENT, description="It may be deleted.")
READ_HOLD = operation(
    "Read a recording's hold",
    description="Whether it is on hold.",
    headers=("Cache-Control", "Vary"),
    content={JSON: shown(on_hold=examples.HOLD, released=examples.NO_HOLD)},
)
ERASE = operation(
    "Erase everything of a subject",
    success=HTTPStatus.ACCEPTED,
    description="It goes on by itself; `Location` says how far it is, and has the certificate in the end.",
    headers=("Location", "Retry-After", "Cache-Control"),
    content={JSON: shown(running=examples.ERASURE_RUNNING)},
    body=RequestBody(
        required=True, content={JSON: shown(ERASE_ORDER, session={"session_id": "sess_8f3a2c1b"})}
    ),
)
READ_ERASURE = operation(
    "Read an erasure",
    description="How far it is; once it is done, its certificate.",
    headers=("Retry-After", "Cache-Control"),
    content={JSON: shown(done=examples.ERASURE_DONE, running=examples.ERASURE_RUNNING)},
)

LOGIN = operation(
    "Sign in",
    description="Signed in, by the cookie that comes with the answer.",
    headers=("Set-Cookie", "Cache-Control"),
    content={JSON: shown(signed_in=examples.SIGNED_IN)},
    body=RequestBody(required=True, content={JSON: shown(CREDENTIALS, kim=examples.CREDENTIALS)}),
)
LOGOUT = operation(
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
        Tag("Live sessions", "Send a session in small batches while it happens."),
        Tag("Erasures", "Erase everything of somebody, with a certificate."),
        Tag("Operators", "Watch and steer the jobs, across tenants: with the scope `operate`."),
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
            "raw": SecurityScheme(
                type="apiKey",
                name="Authorization",
                security_scheme_in="header",
                description="An API key as it is, for live sessions.",
            ),
            "in_url": SecurityScheme(
                type="apiKey",
                name="api_key",
                security_scheme_in="query",
                description="A key that has no scope but `ingest`, for live sessions: `navigator.sendBeacon` sends no headers.",
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
BEACONS: list[dict[str, list[str]]] = [*SECURITY, {"raw": []}, {"in_url": []}]


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI document; `/docs` shows it to people."""
    return request.app.openapi_schema.to_schema()
