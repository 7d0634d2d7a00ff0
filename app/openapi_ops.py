"""The operations of operators, for the OpenAPI document."""

from http import HTTPStatus

from litestar.openapi.spec import RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from app import examples_ops as examples
from app.openapi_bodies import flag
from app.openapi_operation import operation, shown
from models.action import Verb
from models.filters import SELECTION_MAX, TEXT_CHARS, Wanted
from models.job import JobKind

JSON = "application/json"
HEADERS = ("Cache-Control",)
RUNNING_MAX = 1_000_000  # more says nothing that 0, no limit, does not
_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)
FILTER = Schema(
    type=OpenAPIType.OBJECT,
    description="All of these, and at least one.",
    min_properties=1,
    additional_properties=False,
    properties={
        "kind": Schema(type=OpenAPIType.STRING, enum=[one.value for one in JobKind]),
        "state": Schema(
            type=OpenAPIType.STRING,
            enum=[one.value for one in (Wanted.DUE, Wanted.SCHEDULED, Wanted.RUNNING, Wanted.DEAD)],
        ),
        "tenant_id": _ID,
        "recording_id": _ID,
        "error_code": Schema(type=OpenAPIType.STRING, max_length=64, pattern="^[a-z_]+$"),
        "fingerprint": Schema(
            type=OpenAPIType.STRING, pattern="^[0-9a-f]{16}$", description="Of the newest attempt."
        ),
        "older_than_s": Schema(type=OpenAPIType.NUMBER, minimum=0, description="Made longer ago: seconds."),
        "error": Schema(
            type=OpenAPIType.STRING,
            min_length=1,
            max_length=TEXT_CHARS,
            description="In the newest error; in any case.",
        ),
        "worker": Schema(
            type=OpenAPIType.STRING,
            min_length=1,
            max_length=TEXT_CHARS,
            description="The process that runs it.",
        ),
        "job_ids": Schema(
            type=OpenAPIType.ARRAY,
            items=_ID,
            min_items=1,
            max_items=SELECTION_MAX,
            description="Of a selection.",
        ),
    },
)
ORDER = Schema(
    type=OpenAPIType.OBJECT,
    required=["verb", "filter"],
    properties={
        "verb": Schema(type=OpenAPIType.STRING, enum=[one.value for one in Verb]),
        "filter": FILTER,
        "dry_run": flag("Only say what it would be about."),
    },
)


def _most(description: str) -> Schema:
    return Schema(
        type=[OpenAPIType.INTEGER, OpenAPIType.NULL],
        minimum=0,
        maximum=RUNNING_MAX,
        description=description,
    )


LIMITS = Schema(
    type=OpenAPIType.OBJECT,
    description="One of these, or both. What is absent stays as it is; null: the deck's setting; 0: no limit.",
    min_properties=1,
    additional_properties=False,
    properties={
        "running_max": _most("Jobs of this kind that run at once."),
        "tenant_running_max": _most("Jobs of one tenant and this kind that run at once."),
    },
)

OVERVIEW = operation(
    "See the deck at a glance",
    description="Its queues, what they need, its workers.",
    headers=HEADERS,
    content={JSON: shown(overview=examples.OVERVIEW)},
)
JOBS = operation(
    "List jobs", description="A page of jobs.", headers=HEADERS, content={JSON: shown(page=examples.JOBS)}
)
JOB = operation(
    "Read a job",
    description="Why it is not running, and its attempts.",
    headers=HEADERS,
    content={JSON: shown(job=examples.DETAIL)},
)
FAILURES = operation(
    "List failures by fingerprint",
    description="Ways of failing, the most frequent first.",
    headers=HEADERS,
    content={JSON: shown(failures=examples.FAILURES)},
)
WORKERS = operation(
    "List workers",
    description="The worker processes.",
    headers=HEADERS,
    content={JSON: shown(workers=examples.WORKERS)},
)
PROCESSES = operation(
    "List processes",
    description="The processes of the deck.",
    headers=HEADERS,
    content={JSON: shown(processes=examples.PROCESSES)},
)
CONSERVATION = operation(
    "Check that no recording is missing",
    description="The sums of the latest hours and days.",
    headers=HEADERS,
    content={JSON: shown(conserved=examples.CONSERVATION)},
)
RATES = operation(
    "See how fast the queues go",
    description="Attempts that ended, minute by minute, and how long jobs waited and ran.",
    headers=HEADERS,
    content={JSON: shown(rates=examples.RATES)},
)
ACT = operation(
    "Act on all jobs that match",
    success=HTTPStatus.ACCEPTED,
    description="The dispatcher does it, by and by; `Location` says how far it is.",
    headers=("Location", "Retry-After", *HEADERS),
    content={JSON: shown(begun=examples.ACTION)},
    body=RequestBody(required=True, content={JSON: shown(ORDER, retry=examples.ORDER)}),
)
ACTIONS = operation(
    "List actions",
    description="A page of actions.",
    headers=HEADERS,
    content={JSON: shown(page=examples.ACTIONS)},
)
ACTION = operation(
    "Read an action",
    description="How far it is.",
    headers=("Retry-After", *HEADERS),
    content={JSON: shown(action=examples.ACTION)},
)
STOP = operation(
    "Stop an action",
    description="Nothing more is done.",
    headers=("Retry-After", *HEADERS),
    content={JSON: shown(action=examples.ACTION | {"state": "stopped", "finished_at": examples.LATER})},
)
AUDIT = operation(
    "Read the audit log",
    description="A page of what operators did.",
    headers=HEADERS,
    content={JSON: shown(page=examples.AUDIT)},
)


def _change(summary: str, description: str, body: RequestBody | None = None) -> type:
    return operation(
        summary,
        description=description,
        headers=HEADERS,
        content={JSON: shown(changed=examples.CHANGED)},
        body=body,
    )


RETRY = _change("Retry a job now", "It is due, with fresh budgets.")
DISCARD = _change("Discard a job", "It is over; its recording fails, if it was owed to it.")
PAUSE = _change("Pause a queue", "It is paused.")
RESUME = _change("Resume a queue", "It goes on.")
DRAIN = _change("Drain a worker", "It begins no more jobs.")
UNDRAIN = _change("Resume a worker", "It begins jobs again.")
LIMIT = _change(
    "Limit a queue",
    "From now on no more jobs of it begin while so many run.",
    RequestBody(required=True, content={JSON: shown(LIMITS, limits=examples.LIMITS)}),
)
REFILL = _change("Refill Redis", "So many jobs are rung for again.")
