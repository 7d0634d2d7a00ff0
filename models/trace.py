"""The trace that what is being done belongs to: jobs that are owed meanwhile carry it on in their rows.

A `traceparent` as in https://www.w3.org/TR/trace-context/; None when nobody traces. Whoever answers a request or runs a job
sets it (`traces`, at the root); nothing here looks into it.
"""

from contextvars import ContextVar

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
