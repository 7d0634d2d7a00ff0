"""Traces: one from a request through all jobs of what it brought, for OpenTelemetry. Off unless OTEL_* variables ask for it.

A span's context goes into the rows of the jobs that are owed while it lasts (`models.trace`), and each attempt of such a job
is a span below it, in whatever process. Spans have ids and routes: no body, query or key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

from models.trace import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

Value: TypeAlias = str | int | float | bool

NAME = "tapedeck"
LAST_S = 2


class Note:
    """What a span is told while it lasts."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """What is being done has a better name now."""
        if self._span is not None:
            self._span.update_name(name)

    def tell(self, **attributes: Value) -> None:
        """Attributes; `__` in their names stands for a dot."""
        if self._span is not None:
            self._span.set_attributes({name.replace("__", "."): value for name, value in attributes.items()})

    def failed(self, reason: str) -> None:
        """What was being done ended badly."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, reason))


class Traces:
    """The traces of one process; without a provider they are off, and cost next to nothing."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider

    @contextmanager
    def span(
        self, name: str, kind: str = "INTERNAL", *, parent: str | None = None, **attributes: Value
    ) -> Iterator[Note]:
        """While the block runs, a span of this kind below `parent`, else below the one that goes on. Jobs that are owed
        meanwhile belong to it. When traces are off, those of an attempt belong to its `parent`, which we wrote; a client's is
        not kept."""
        if self._provider is None:
            before = TRACEPARENT.set(parent if kind == "CONSUMER" else TRACEPARENT.get())
            try:
                yield Note()
            finally:
                TRACEPARENT.reset(before)
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator()
        below = context.extract({"traceparent": parent}) if parent else None
        told = {name.replace("__", "."): value for name, value in attributes.items()}
        tracer = self._provider.get_tracer(NAME)
        with tracer.start_as_current_span(name, below, SpanKind[kind], told) as span:
            carrier: dict[str, str] = {}
            context.inject(carrier)
            before = TRACEPARENT.set(carrier.get("traceparent"))
            try:
                yield Note(span)
            finally:
                TRACEPARENT.reset(before)

    def close(self) -> None:
        """Send what is not sent yet, within `LAST_S`: a collector that is away must hold up no end."""
        if self._provider is not None:
            ending = Thread(target=self._provider.shutdown, name="last traces", daemon=True)
            ending.start()
            ending.join(LAST_S)


def open_traces(process: str, *, are_on: bool) -> Traces:
    """The traces of this process, sent by OTLP over HTTP as the OTEL_* variables say. Call it after a fork."""
    if not are_on:
        return Traces()
    # A tenth of a second and some MB, for those who trace.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours: Mapping[str, Value] = {"service.name": f"{NAME}-{process}", "service.namespace": NAME}
    provider = TracerProvider(
        shutdown_on_exit=False, resource=Resource(ours).merge(OTELResourceDetector().detect())
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)
