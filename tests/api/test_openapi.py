"""The OpenAPI document says what the service does."""

from typing import Any

import httpx
import msgspec
import pytest

from app import documents, examples
from app.errors import STATUS, Code, Problem
from replay.envelope import decode_upload
from tests.api.conftest import Process
from tests.api.test_read import create, id_in


@pytest.fixture
async def document(anyone: httpx.AsyncClient) -> dict[str, Any]:
    answer = await anyone.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    read: dict[str, Any] = answer.json()
    return read


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


async def test_every_operation_is_there(document: dict[str, Any]) -> None:
    path = "/api/v1/recordings"
    assert set(operations(document)) == {
        f"POST {path}",
        f"GET {path}",
        f"GET {path}/{{recording_id}}",
        f"DELETE {path}/{{recording_id}}",
        f"GET {path}/{{recording_id}}/events",
        f"HEAD {path}/{{recording_id}}/events",
        f"GET {path}/{{recording_id}}/logs",
        f"HEAD {path}/{{recording_id}}/logs",
        f"POST {path}/{{recording_id}}/retry",
        "GET /health",
        "GET /ready",
    }
    assert document["openapi"].startswith("3.1")


async def test_every_answer_is_described_and_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if int(status) >= 400 and "/api/" in name:
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    problem = msgspec.convert(example["value"], Problem)
                    assert (problem.code, problem.status) == (code, int(status))
                    assert STATUS[Code(code)] == int(status)


async def test_every_operation_says_who_may_call(document: dict[str, Any]) -> None:
    schemes = set(document["components"]["securitySchemes"])
    for name, operation in operations(document).items():
        if "/api/" in name:
            assert {key for need in operation["security"] for key in need} == schemes
            assert {"401", "403", "500", "503"} <= set(operation["responses"])


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for child in value.values() for ref in references(child)]
        return [ref for child in value for ref in references(child)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


async def test_headers_and_parameters_are_listed(document: dict[str, Any]) -> None:
    by_name = operations(document)
    create_ = by_name["POST /api/v1/recordings"]
    assert {"Location", "Idempotency-Replayed"} <= set(create_["responses"]["201"]["headers"])
    assert set(create_["requestBody"]["content"]["application/json"]["schema"]["properties"]) == {
        "name", "started_at", "ended_at", "duration_ms", "event_count", "events", "navigations", "project_id",
        "has_video", "has_audio", "open", "console_logs", "network_logs", "client_info",
    }  # fmt: skip
    assert set(create_["responses"]) == {
        "201", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503",
    }  # fmt: skip
    listed = by_name["GET /api/v1/recordings"]
    limit = next(one for one in listed["parameters"] if one["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 100)
    assert {one["name"] for one in listed["parameters"]} == {
        "limit", "cursor", "project_id", "status", "session_id", "fingerprint",
    }  # fmt: skip
    events = by_name["GET /api/v1/recordings/{recording_id}/events"]
    assert set(events["responses"]["200"]["content"]) == {"application/json", "application/x-ndjson"}
    assert {"304", "404", "406", "409"} <= set(events["responses"])
    assert {"from_ms", "to_ms", "align"} <= {one["name"] for one in events["parameters"]}


async def test_the_examples_are_what_the_service_takes_and_gives(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    decode_upload(msgspec.json.encode(examples.UPLOAD))
    path = await create(api, msgspec.json.encode(examples.UPLOAD))
    await process_it(id_in(path))
    read = (await api.get(path)).json()
    assert read["status"] == "ready"
    assert list(read) == list(examples.RECORDING)
    for example, type_ in (
        (examples.RECORDING, documents.RecordingDocument),
        (examples.FAILED, documents.RecordingDocument),
        (examples.STATUS, documents.RecordingStatus),
        (examples.LIST, documents.RecordingList),
        (examples.LOGS, documents.LogsDocument),
        (examples.CREATED, documents.Created),
        (examples.RETRIED, documents.Retried),
    ):
        assert msgspec.to_builtins(msgspec.convert(example, type_)) == example


async def test_people_can_read_it(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "api-reference" in answer.text
