"""What commands make of a deck's answers, and of none.

- `Refused`: the deck answered and said no.
- `Unreachable`: nobody answered, or the answer broke off, or the deck was too busy for longer than we were told to wait.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec

from app.exits import REFUSED, UNREACHABLE, Exit

T = TypeVar("T")

# By code or status: what to do about it.
HINTS: dict[str | int, str] = {
    401: "is the API key right? See --api-key",
    403: "use a key with the scope that this takes",
    404: "deleted, never there, or of another tenant",
    413: "send it in parts, or raise TAPEDECK_MAX_BODY_BYTES or TAPEDECK_MAX_EVENTS_BYTES on the deck",
    "project_not_found": "see --project",
    "idempotency_key_reused": "send it with --again",
    "not_ready": "wait for it with `tapedeck show --wait`",
    "recording_failed": "see `tapedeck show`; `tapedeck retry` puts it back to work",
    "not_failed": "only a failed recording can be retried",
    "on_hold": "see `tapedeck hold --release`",
    "video_not_found": "see `tapedeck show`",
}
NO_HINTS: dict[str | int, str] = {}  # for storage, which knows nothing of keys and of our limits


class _FieldError(msgspec.Struct):
    field: str
    message: str


class _Problem(msgspec.Struct):
    """RFC 9457, with `code` and `errors` as API.md has them."""

    title: str = ""
    detail: str = ""
    code: str = ""
    errors: list[_FieldError] = []


class Refused(Exit):
    """The deck said no: one line that names the field, where there is one, and the way out. `code` as in API.md."""

    status = REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exit):
    """No whole answer."""

    status = UNREACHABLE
    code = "unreachable"


def unbroken(answer: httpx.Response) -> Iterator[bytes]:
    """The chunks of a body that comes whole. Raises Unreachable."""
    try:
        yield from answer.iter_bytes()
    except httpx.RequestError as error:
        raise Unreachable(f"the answer broke off: {error or type(error).__name__}") from None


def decoded(answer: httpx.Response, shape: type[T]) -> T:
    """A body of JSON as a `shape`. Raises Refused."""
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError:
        raise Refused("not_a_deck", f"{answer.url} does not answer like a deck: is the URL right?") from None


def refused(answer: httpx.Response, hints: dict[str | int, str]) -> Refused:
    """What an answer that is no success says, with the hint for its code or status."""
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    what = (
        "; ".join(f"{error.field}: {error.message}" for error in problem.errors)
        or problem.detail
        or problem.title
    )
    status = answer.status_code
    if location := answer.is_redirect and answer.headers.get("Location"):
        what = what or f"moved to {location}"
    what = "".join(c if c.isprintable() else " " for c in what or f"{status} {answer.reason_phrase}").strip()
    hint = hints.get(problem.code) or hints.get(status)
    return Refused(problem.code or f"http_{status}", f"{what} ({hint})" if hint else what)


def retry_after_s(answer: httpx.Response) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
