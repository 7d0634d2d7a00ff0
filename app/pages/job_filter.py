"""Which jobs, as URLs and forms of pages say it: by the names of GET /api/v1/ops/jobs.

A condition more in `JobFilter` is a line more in CONTROLS.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from app.describe import plural
from app.pages.environment import lasting
from app.pages.forms import Form
from models.filters import JobFilter, Wanted
from models.job import JobKind

SELECTION = "job_ids"


class Control(NamedTuple):
    """A condition: what a form calls it, how a sentence goes on with its value, and what a value must be."""

    name: str
    label: str
    words: str
    must: str
    choices: tuple[str, ...] = ()
    shown: Callable[[Any], str] = str
    is_first: bool = False


class Phrase(NamedTuple):
    """A condition, said: `that are`, `dead`."""

    name: str
    words: str
    value: str


_ID = "must be a whole id: 32 hex digits, with dashes or without"

CONTROLS = (
    Control("kind", "Queue", "of the queue", "must be one of the queues", tuple(JobKind), is_first=True),
    Control("state", "State", "that are", "must be one of the states", tuple(Wanted), is_first=True),
    Control("error", "Error says", "whose error says", "must be 1 to 200 characters", is_first=True),
    Control(
        "error_code",
        "Error code",
        "with the error code",
        "must be a code such as processing_failed: at most 64 of a-z and _",
    ),
    Control("fingerprint", "Fingerprint", "that failed last as", "must be 16 of 0-9 and a-f"),
    Control("recording_id", "Recording", "of the recording", _ID),
    Control("tenant_id", "Tenant", "of the tenant", _ID),
    Control(
        "older_than_s",
        "Older than (seconds)",
        "older than",
        "must be a number of seconds, at most a billion",
        shown=lambda seconds: lasting(float(seconds) * 1000),
    ),
    Control("worker", "Worker", "that are run by", "must be the name of a process"),
)
"""In the order of the form."""


class Asked(NamedTuple):
    """What a URL or a form asks for: `given` as it came, what is wrong with it (`faults`), and the filter of what is right."""

    given: dict[str, str]
    faults: dict[str, str]
    jobs: JobFilter


def asked_of(form: Form) -> Asked:
    """Read the conditions; what is empty is none."""
    must = {control.name: control.must for control in CONTROLS} | {
        SELECTION: "must be whole ids, at most 1000"
    }
    given: dict[str, str] = {}
    faults: dict[str, str] = {}
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(JobFilter):
        sent = [value.strip() for value in form.get(field.name, []) if value.strip()]
        if not sent or field.name not in must:
            continue
        if field.name != SELECTION:
            given[field.name] = sent[-1]
        try:
            value = msgspec.convert(sent if field.name == SELECTION else sent[-1], field.type, strict=False)
        except msgspec.ValidationError:
            value = None
        if value is None:
            faults[field.name] = must[field.name]
        else:
            values[field.name] = value
    return Asked(given, faults, JobFilter(**values))


def fields_of(jobs: JobFilter) -> list[tuple[str, str]]:
    """The filter as fields of a form: `asked_of` reads it back."""
    kept: dict[str, Any] = msgspec.to_builtins(jobs)
    return [
        (name, str(value))
        for name, values in kept.items()
        for value in (values if name == SELECTION else [values])
    ]


def phrases_of(kept: Mapping[str, Any]) -> list[Phrase]:
    """A filter, as JSON has it, in words: what comes after `jobs`. What nobody knows any more is said by its name."""
    known = {control.name for control in CONTROLS} | {SELECTION}
    found = [
        Phrase(control.name, control.words, control.shown(kept[control.name]))
        for control in CONTROLS
        if control.name in kept
    ]
    found += [Phrase(name, f"{name}:", str(value)) for name, value in kept.items() if name not in known]
    if SELECTION in kept:
        found.append(Phrase(SELECTION, "that were selected:", plural(len(kept[SELECTION]), "job")))
    return found
