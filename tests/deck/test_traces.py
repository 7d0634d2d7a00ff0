"""One trace from a request through all jobs of what it brought, sent to a collector that the OTEL_* variables name."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text

from app import examples
from models.db import Database
from tests.deck import Deck
from tests.factories import events

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}


class Span(NamedTuple):
    """A span as a collector gets it."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]


class Collector:
    """Receives spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.spans += _spans(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    async def of_trace(self, *names: str) -> list[Span]:
        """The spans of the trace, once all of these are there."""
        while not {span.name for span in self._of_trace()} >= set(names):
            await asyncio.sleep(0.05)
        return self._of_trace()

    def _of_trace(self) -> list[Span]:
        return [span for span in self.spans if span.trace == TRACE]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _spans(request: Any) -> Iterator[Span]:
    for of_resource in request.resource_spans:
        (service,) = [
            one.value.string_value for one in of_resource.resource.attributes if one.key == "service.name"
        ]
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                told = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                ids = (part.hex() for part in (span.trace_id, span.span_id, span.parent_span_id))
                yield Span(service, span.name, *ids, told)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


async def test_a_replay_is_one_trace_from_the_request_to_its_rows(
    make_deck: Callable[..., Deck], collector: Collector
) -> None:
    deck = make_deck(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50")
    await deck.start()
    async with deck.client() as api:
        answer = await api.post("/api/save-replay?secret=kept", json=examples.SESSION, headers=SENT)
        assert answer.status_code == 201, answer.text
    spans = await collector.of_trace("POST /api/save-replay", "accept", "process", "storage put", "relate")
    assert collector.spans
    by_name = {span.name: span for span in spans}
    chain = ("POST /api/save-replay", "accept", "process", "relate")
    assert [by_name[name].parent for name in chain] == [CLIENT, *(by_name[name].id for name in chain[:-1])]
    puts = [span for span in spans if span.name == "storage put"]
    assert [span.parent for span in puts] == [by_name["process"].id] * 2  # tape and sidecar
    assert [by_name[name].service for name in chain] == ["tapedeck-web"] * 2 + ["tapedeck-worker"] * 2
    of = {span.attributes["tapedeck.recording_id"] for span in (by_name[name] for name in chain[1:])}
    assert len(of) == 1
    request = by_name["POST /api/save-replay"].attributes
    assert request["http.response.status_code"] == 201
    assert request["tapedeck.request_id"] == answer.headers["X-Request-Id"]
    assert "kept" not in str(collector.spans)
    assert deck.keys.api_key not in str(collector.spans)


async def test_without_a_collector_nothing_of_a_trace_is_kept(deck: Deck, database: Database) -> None:
    async with deck.client() as api:
        answer = await api.post(
            "/api/v1/recordings",
            json={"started_at": "2026-01-01T00:00:00Z", "events": events()},
            headers=SENT,
        )
        path = answer.headers["Location"]
        while (await api.get(path)).json()["status"] != "ready":
            await asyncio.sleep(0.05)
    async with database.autocommit() as connection:
        kept = "SELECT trace FROM job UNION ALL SELECT trace FROM job_history"
        assert set((await connection.execute(text(kept))).scalars()) == {None}
