"""The bodies of requests, and of answers that are no struct, as schemas for the OpenAPI document."""

from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from replay import live
from replay.envelope import NAME_MAX, SAFE_INTEGER
from replay.privacy import PATTERN_MAX, RULES_MAX

OBJECT = Schema(type=OpenAPIType.OBJECT, additional_properties=True)
STRING = Schema(type=OpenAPIType.STRING)
COUNT = Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=SAFE_INTEGER)
TIME = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME, description="ISO 8601 with an offset.")
EVENT = Schema(
    type=OpenAPIType.OBJECT,
    description="An rrweb event.",
    properties={
        "type": COUNT,
        "timestamp": Schema(type=OpenAPIType.NUMBER, description="Unix milliseconds."),
        "data": Schema(),
    },
    required=["type", "timestamp"],
    additional_properties=True,
)


def flag(description: str) -> Schema:
    return Schema(type=OpenAPIType.BOOLEAN, default=False, description=description)


def array(items: Schema, description: str) -> Schema:
    return Schema(type=OpenAPIType.ARRAY, items=items, description=description)


def named(longest: int) -> Schema:
    return Schema(type=OpenAPIType.STRING, min_length=1, max_length=longest, description="Not blank.")


BATCH = Schema(
    type=OpenAPIType.OBJECT,
    required=["fingerprint", "sessionId", "events"],
    description="Unknown fields are ignored.",
    properties={
        "fingerprint": named(live.NAME_MAX),
        "sessionId": named(live.NAME_MAX),
        "events": Schema(
            type=OpenAPIType.ARRAY,
            min_items=1,
            items=Schema(
                type=OpenAPIType.OBJECT,
                required=["eventType", "eventData", "timestampMillis"],
                properties={
                    "eventType": named(live.TYPE_MAX),
                    "eventData": Schema(type=OpenAPIType.STRING, description="JSON, by convention."),
                    "url": STRING,
                    "timestampMillis": Schema(
                        type=OpenAPIType.INTEGER,
                        minimum=0,
                        maximum=live.TIME_MAX,
                        description="Unix milliseconds.",
                    ),
                },
            ),
        ),
        "final": flag("The session ends with this batch."),
    },
)
CHUNK = Schema(
    type=OpenAPIType.OBJECT,
    required=["seq", "events"],
    description="Unknown fields are ignored.",
    properties={
        "seq": COUNT,
        "events": Schema(
            type=OpenAPIType.ARRAY,
            min_items=1,
            items=Schema(one_of=[EVENT, Schema(type=OpenAPIType.STRING, description="A packed event.")]),
        ),
        "console_logs": array(OBJECT, "Kept as they are."),
        "network_logs": array(OBJECT, "Kept as they are."),
    },
)
UPLOAD = Schema(
    type=OpenAPIType.OBJECT,
    required=["started_at", "events"],
    description="Unknown fields are ignored.",
    properties={
        "name": Schema(type=OpenAPIType.STRING, max_length=NAME_MAX),
        "started_at": TIME,
        "ended_at": Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME, description="Not before started_at."
        ),
        "duration_ms": COUNT,
        "event_count": COUNT,
        "events": array(
            Schema(one_of=[EVENT, Schema(type=OpenAPIType.STRING, description="A packed event.")]),
            "Empty only with has_video or open. An event that is defective in itself is counted as rejected while processing.",
        ),
        "navigations": array(
            Schema(
                type=OpenAPIType.OBJECT,
                required=["url", "timestamp_ms"],
                properties={"url": STRING, "timestamp_ms": Schema(type=OpenAPIType.NUMBER)},
            ),
            "timestamp_ms counts from the start.",
        ),
        "project_id": Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.UUID, description="Default: the key's project."
        ),
        "has_video": flag(
            "A video follows: the answer says where to PUT it, and confirm-video that it is there."
        ),
        "has_audio": flag("Whether the video has sound."),
        "open": flag("More events follow, in chunks (`…/events`), until `…/finish`."),
        "console_logs": array(OBJECT, "As the page's console had them."),
        "network_logs": array(OBJECT, "Requests that the page made."),
        "client_info": OBJECT,
    },
)

SESSION = Schema(
    type=OpenAPIType.OBJECT,
    required=["events"],
    description="Unknown fields are ignored.",
    properties={
        "events": Schema(
            type=OpenAPIType.ARRAY,
            min_items=1,
            items=Schema(one_of=[EVENT, Schema(type=OpenAPIType.STRING, description="A packed event.")]),
            description="The `href` of the first Meta event ends in the page's name: 64 lower-case hex digits and `.html`.",
        ),
        "consoleLogs": array(
            OBJECT, "Further fields are kept. What is no object is rejected while processing."
        ),
        "networkLogs": array(
            OBJECT, "Further fields are kept. What is no object is rejected while processing."
        ),
        "clientInfo": Schema(
            type=OpenAPIType.OBJECT,
            additional_properties=True,
            description="What it does not say comes from the events, or from the request.",
        ),
    },
)

CREDENTIALS = Schema(
    type=OpenAPIType.OBJECT,
    required=["email", "password"],
    properties={
        "email": Schema(type=OpenAPIType.STRING, description="Case does not matter."),
        "password": STRING,
    },
)

_RULES = Schema(
    type=OpenAPIType.OBJECT,
    description="What is masked beside what the project's policy says. Other members are refused.",
    additional_properties=False,
    properties={
        "patterns": Schema(
            type=OpenAPIType.ARRAY,
            max_items=RULES_MAX,
            description="What these match in any string value.",
            items=Schema(
                type=OpenAPIType.OBJECT,
                required=["name", "pattern"],
                additional_properties=False,
                properties={
                    "name": Schema(
                        type=OpenAPIType.STRING, pattern="^[a-z0-9_]{1,40}$", description="To count it by."
                    ),
                    "pattern": Schema(
                        type=OpenAPIType.STRING,
                        min_length=1,
                        max_length=PATTERN_MAX,
                        description="In the syntax of RE2.",
                    ),
                },
            ),
        ),
        "selectors": Schema(
            type=OpenAPIType.ARRAY,
            max_items=RULES_MAX,
            description="CSS selectors: text and values of these elements, and of all that they hold.",
            items=Schema(type=OpenAPIType.STRING, max_length=PATTERN_MAX),
        ),
        "keys": Schema(
            type=OpenAPIType.ARRAY,
            max_items=RULES_MAX,
            description="Names of JSON members, URL parameters and form fields, whatever their case: their values.",
            items=Schema(type=OpenAPIType.STRING, min_length=1, max_length=100),
        ),
    },
)

MASK_ORDER = Schema(
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    properties={"rules": _RULES, "dry_run": flag("Only tell what would be masked.")},
)

_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)
_SUBJECT_TEXT = Schema(type=OpenAPIType.STRING, min_length=1, max_length=500)
ERASE_ORDER = Schema(
    type=OpenAPIType.OBJECT,
    description="Exactly one subject. tenant_id must be the key's own.",
    properties={
        "session_id": _SUBJECT_TEXT,
        "fingerprint": _SUBJECT_TEXT,
        "user_id": _ID,
        "project_id": _ID,
        "tenant_id": _ID,
        "dry_run": flag("Only say what would be erased."),
    },
)
