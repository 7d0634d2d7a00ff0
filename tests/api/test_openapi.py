"""The OpenAPI document says what the service does."""

import re
from typing import Any

import httpx
import msgspec
import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator

from app import documents, erasure_documents, examples
from app.accepting import IDEMPOTENCY_KEY_MAX
from app.cors import EXPOSED
from app.errors import STATUS, Code, Problem
from app.ingest_errors import Failure
from app.message_errors import Message
from app.save_replay import PATH as SAVE
from app.save_replay import Saved
from app.sign_in import SignedIn
from models.job import JobKind
from replay.envelope import decode_upload
from replay.privacy import Rules, check_rules
from tests.api.conftest import Process
from tests.api.erasing import ERASURES, Hands, erase
from tests.api.test_create import PATH
from tests.api.test_read import create, id_in
from tests.api.videos import Videos
from tests.factories import Deckhand, events, upload


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


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """The value is as the schema says, whose references lead into the document."""
    whole = {"components": document["components"], **schema}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def check_answer(document: dict[str, Any], answer: httpx.Response) -> None:
    """Its operation lists this status, media type and these headers, and the body is as its schema says."""
    method, path = answer.request.method, answer.request.url.path.rstrip("/")
    if path.startswith(f"{PATH}/"):
        recording_id = path.removeprefix(f"{PATH}/").partition("/")[0]
        path = path.replace(recording_id, "{recording_id}")
    if path.startswith(f"{ERASURES}/"):
        path = f"{ERASURES}/{{erasure_id}}"
    path = re.sub(
        r"(?<=/ops/)(job|recording|action|worker|tenant)s/[0-9a-f-]{36}",
        lambda found: f"{found[1]}s/{{{found[1]}_id}}",
        path,
    )
    path = re.sub("(?<=/ops/queues/)[^/]+", "{kind}", path)
    said = operations(document)[f"{method} {path}"]["responses"][str(answer.status_code)]
    of_interest = {name.lower() for name in EXPOSED.split(", ")} | {"content-encoding", "www-authenticate"}
    assert set(answer.headers) & of_interest <= {name.lower() for name in said["headers"]}
    assert "x-request-id" in answer.headers
    if answer.content:
        media_type = answer.headers["Content-Type"].partition(";")[0]
        check(document, said["content"][media_type]["schema"], answer.json())
    else:
        assert "content" not in said


async def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)


async def test_every_example_is_as_its_schema_says(document: dict[str, Any]) -> None:
    checked = 0
    for operation in operations(document).values():
        for place in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type in place.get("content", {}).values():
                for example in media_type.get("examples", {}).values():
                    check(document, media_type["schema"], example["value"])
                    checked += 1
    assert checked > 60
    recording = operations(document)[f"GET {PATH}/{{recording_id}}"]["responses"]["200"]
    shown = recording["content"]["application/json"]["examples"]
    assert [one["value"] for one in shown.values()] == [
        examples.RECORDING,
        examples.FAILED,
        examples.STATUS,
    ]


async def test_real_answers_are_as_it_says(
    api: httpx.AsyncClient,
    ingest: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    process_it: Process,
    document: dict[str, Any],
) -> None:
    async def get(client: httpx.AsyncClient, path: str, status: int, **headers: str) -> httpx.Response:
        answer = await client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        check_answer(document, answer)
        return answer

    created = await ingest.post(PATH, content=upload([*events(5), {"type": 3}], event_count=7))
    check_answer(document, created)
    path = created.headers["Location"]
    await get(api, path, 200, Prefer="wait=0")
    await get(ingest, path, 200)
    early = await get(api, f"{path}/events", 409)
    assert early.json()["code"] == "not_ready"
    assert early.headers["Retry-After"]
    await process_it(id_in(path))

    ready = await get(api, path, 200)
    assert ready.json()["status"] == "ready"
    assert set(ready.json()) == set(document["components"]["schemas"]["RecordingDocument"]["required"])
    assert set(ready.json()["summary"]) == set(document["components"]["schemas"]["Summary"]["required"])
    assert ready.json()["navigations"] == [{"url": "https://app.example.com/login", "timestamp_ms": 0}]
    await get(api, path, 304, **{"If-None-Match": ready.headers["ETag"]})
    await get(ingest, path, 200)
    await get(api, PATH, 200)
    for part in ("events", "logs"):
        read = await get(api, f"{path}/{part}", 200, **{"Accept-Encoding": "gzip"})
        await get(
            api, f"{path}/{part}", 304, **{"Accept-Encoding": "gzip", "If-None-Match": read.headers["ETag"]}
        )
    await get(api, f"{path}/events?from_ms=-1", 400)
    await get(api, f"{path}/events", 406, Accept="text/html")
    await get(ingest, PATH, 403)
    await get(anyone, PATH, 401)
    await get(anyone, "/health", 200)
    await get(anyone, "/ready", 200)
    check_answer(document, await api.post(PATH, content=b"{}"))
    check_answer(document, await api.post(PATH, content=b"", headers={"Content-Encoding": "br"}))
    check_answer(document, await api.post(f"{path}/retry"))
    check_answer(document, await api.post(f"{path}/mask", json=examples.MASK_ORDER))
    check_answer(document, await api.post(f"{path}/mask", json={"dry_run": True}))
    check_answer(document, await api.post(f"{path}/mask", json={"rules": []}))
    check_answer(document, await api.get(f"{path}/mask"))
    check_answer(document, await api.post(f"{path}/relate"))
    check_answer(document, await api.delete(path))
    await get(api, path, 404)


async def test_holds_and_erasures_are_as_it_says(
    api: httpx.AsyncClient,
    process_it: Process,
    document: dict[str, Any],
    hand: Deckhand,
    hands: Hands,
) -> None:
    paths = [await create(api) for _ in range(2)]
    for path in paths:
        await process_it(id_in(path))
    for method in ("GET", "PUT", "GET"):
        check_answer(document, await api.request(method, f"{paths[0]}/hold"))
    check_answer(document, await api.delete(paths[0]))
    subject = {"user_id": str(hand.api_key.user_id)}
    check_answer(document, await erase(api, **subject, dry_run=True))
    started = await erase(api, **subject)
    check_answer(document, started)
    where = started.headers["Location"]
    check_answer(document, await api.get(where))
    await hands.finish()
    done = await api.get(where)
    assert done.json()["certificate"]["recordings"]
    check_answer(document, done)
    check_answer(document, await erase(api))
    check_answer(document, await api.delete(f"{paths[0]}/hold"))


async def test_sessions_are_as_it_says(
    api: httpx.AsyncClient, anyone: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    saved = await api.post(SAVE, json=examples.SESSION, headers={"Idempotency-Key": "k"})
    assert saved.status_code == 201
    check_answer(document, saved)
    check_answer(document, await api.post(SAVE, json=examples.SESSION, headers={"Idempotency-Key": "k"}))
    check_answer(document, await api.post(SAVE, content=b"", headers={"Idempotency-Key": "k"}))
    check_answer(document, await api.post(SAVE, content=b"", headers={"Content-Encoding": "br"}))
    check_answer(document, await anyone.post(SAVE))
    check_answer(document, await anyone.post("/login", json=examples.CREDENTIALS))
    check_answer(document, await anyone.post("/login", json={}))
    check_answer(document, await anyone.post("/login", content=b"{}"))
    check_answer(document, await anyone.post("/logout"))


async def test_a_failed_recording_is_as_it_says(
    api: httpx.AsyncClient, process_it: Process, document: dict[str, Any]
) -> None:
    path = await create(api, upload([{"type": 3}]))
    await process_it(id_in(path))
    read = await api.get(path)
    assert read.json()["status"] == "failed"
    check_answer(document, read)
    check_answer(document, await api.get(f"{path}/events"))
    check_answer(document, await api.post(f"{path}/retry"))


async def test_a_videos_answers_are_as_it_says(videos: Videos) -> None:
    document = (await videos.api.get("/openapi.json")).json()

    async def ask(method: str, path: str, status: int, client: httpx.AsyncClient = videos.api) -> Any:
        answer = await client.request(method, path)
        assert answer.status_code == status, answer.text
        check_answer(document, answer)
        return answer

    created = await videos.ingest.post(PATH, content=upload(has_video=True))
    check_answer(document, created)
    path = created.headers["Location"]
    await ask("POST", f"{path}/confirm-video", 409)
    renewed = await ask("POST", f"{path}/video-upload-url", 200)
    await videos.put(renewed.json()["video_upload_url"])
    await ask("POST", f"{path}/confirm-video", 200, videos.ingest)
    await ask("POST", f"{path}/confirm-video", 200)
    await ask("POST", f"{path}/video-upload-url", 409)
    await ask("GET", f"{path}/video", 404)
    await videos.work(path, JobKind.PROCESS, JobKind.VERIFY_VIDEO)
    assert (await ask("GET", path, 200)).json()["video"]
    await ask("GET", f"{path}/video", 307)


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
        f"POST {path}/{{recording_id}}/events",
        f"POST {path}/{{recording_id}}/finish",
        f"POST {path}/{{recording_id}}/retry",
        f"POST {path}/{{recording_id}}/mask",
        f"GET {path}/{{recording_id}}/mask",
        f"POST {path}/{{recording_id}}/relate",
        f"POST {path}/{{recording_id}}/confirm-video",
        f"POST {path}/{{recording_id}}/video-upload-url",
        f"GET {path}/{{recording_id}}/video",
        f"GET {path}/{{recording_id}}/hold",
        f"PUT {path}/{{recording_id}}/hold",
        f"DELETE {path}/{{recording_id}}/hold",
        "POST /api/v1/erasures",
        "GET /api/v1/erasures/{erasure_id}",
        "GET /api/v1/ops/overview",
        "GET /api/v1/ops/jobs",
        "GET /api/v1/ops/jobs/{job_id}",
        "POST /api/v1/ops/jobs/{job_id}/retry",
        "POST /api/v1/ops/jobs/{job_id}/discard",
        "GET /api/v1/ops/recordings/{recording_id}",
        "GET /api/v1/ops/failures",
        "POST /api/v1/ops/actions",
        "GET /api/v1/ops/actions",
        "GET /api/v1/ops/actions/{action_id}",
        "POST /api/v1/ops/actions/{action_id}/stop",
        "GET /api/v1/ops/audit",
        "POST /api/v1/ops/queues/{kind}/pause",
        "POST /api/v1/ops/queues/{kind}/resume",
        "GET /api/v1/ops/workers",
        "GET /api/v1/ops/processes",
        "PUT /api/v1/ops/queues/{kind}/limits",
        "POST /api/v1/ops/workers/{worker_id}/resume",
        "GET /api/v1/ops/conservation",
        "GET /api/v1/ops/rates",
        "GET /api/v1/ops/tenants",
        "GET /api/v1/ops/tenants/{tenant_id}",
        "POST /api/v1/ops/workers/{worker_id}/drain",
        "POST /api/v1/ops/refill",
        "POST /api/save-replay",
        "POST /ingest/v1/replay",
        "POST /login",
        "POST /logout",
        "GET /health",
        "GET /ready",
    }
    assert document["openapi"].startswith("3.1")


async def test_every_answer_is_described_and_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if int(status) >= 400 and name == "POST /api/save-replay":
                for example in answer["content"]["application/json"]["examples"].values():
                    assert msgspec.to_builtins(msgspec.convert(example["value"], Message)) == example["value"]
            elif int(status) >= 400 and name == "POST /ingest/v1/replay":
                for example in answer["content"]["application/json"]["examples"].values():
                    assert msgspec.to_builtins(msgspec.convert(example["value"], Failure)) == example["value"]
            elif int(status) >= 400 and ("/api/" in name or "/log" in name):
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    problem = msgspec.convert(example["value"], Problem)
                    assert (problem.code, problem.status) == (code, int(status))
                    assert STATUS[Code(code)] == int(status)


async def test_every_operation_says_who_may_call(document: dict[str, Any]) -> None:
    schemes = set(document["components"]["securitySchemes"])
    beacons = {"raw", "in_url"}
    for name, operation in operations(document).items():
        if "/api/" in name or "/ingest/" in name:
            needed = {key for need in operation["security"] for key in need}
            assert needed == (schemes if "/ingest/" in name else schemes - beacons)
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
    (key,) = create_["parameters"]
    assert key["name"] == "Idempotency-Key"
    assert (key["schema"]["minLength"], key["schema"]["maxLength"]) == (1, IDEMPOTENCY_KEY_MAX)
    assert "Retry-After" in create_["responses"]["409"]["headers"]
    assert "Retry-After" in by_name["GET /ready"]["responses"]["503"]["headers"]
    for name, operation in by_name.items():
        for status, answer in operation["responses"].items():
            assert "X-Request-Id" in answer["headers"], (name, status)
    playback = by_name["GET /api/v1/recordings/{recording_id}/events"]
    assert set(playback["responses"]["200"]["content"]) == {"application/json", "application/x-ndjson"}
    assert {"304", "404", "406", "409"} <= set(playback["responses"])
    assert "Retry-After" in playback["responses"]["409"]["headers"]
    assert not {"Content-Encoding", "Content-Length"} & set(playback["responses"]["304"]["headers"])
    schemas = {one["name"]: one["schema"] for one in playback["parameters"]}
    assert schemas["from_ms"]["minimum"] == schemas["to_ms"]["minimum"] == 0
    assert "align" in schemas


async def test_the_examples_are_what_the_service_takes_and_gives(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    decode_upload(msgspec.json.encode(examples.UPLOAD))
    check_rules(msgspec.convert(examples.MASK_ORDER["rules"], Rules))
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
        (examples.CREATED_WITH_VIDEO, documents.Created),
        (examples.UPLOAD_URL, documents.UploadUrl),
        (examples.AWAITING_VIDEO, documents.RecordingDocument),
        (examples.RETRIED, documents.Retried),
        (examples.SAVED, Saved),
        (examples.SIGNED_IN, SignedIn),
        (examples.HOLD, documents.Hold),
        (examples.NO_HOLD, documents.Hold),
        (examples.ERASURE_PREVIEW, erasure_documents.ErasurePreview),
        (examples.ERASURE_RUNNING, erasure_documents.ErasureDocument),
        (examples.ERASURE_DONE, erasure_documents.ErasureDocument),
        (examples.MASKING, documents.MaskingDocument),
        (examples.MASK_DRY_RUN, documents.MaskDryRun),
    ):
        assert msgspec.to_builtins(msgspec.convert(example, type_)) == example


async def test_people_can_read_it(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "api-reference" in answer.text
