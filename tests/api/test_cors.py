"""Cross-origin requests: what browsers need, on every answer."""

import httpx
import pytest

from tests.api.conftest import Serve
from tests.api.test_create import PATH
from tests.factories import Deckhand, upload

EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
EXPOSED = {
    "Location", "Retry-After", "ETag", "Idempotency-Replayed", "Preference-Applied", "X-Request-Id", "RateLimit",
    "RateLimit-Policy",
}  # fmt: skip


def exposed(answer: httpx.Response) -> set[str]:
    return {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/x/events", "/nope"])
async def test_a_preflight_needs_no_key(anyone: httpx.AsyncClient, path: str) -> None:
    asked = {
        "Origin": EXTENSION,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-encoding, idempotency-key",
    }
    answer = await anyone.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert (
        answer.headers["Access-Control-Allow-Headers"] == "authorization, content-encoding, idempotency-key"
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["X-Request-Id"]


async def test_an_extension_may_read_its_answers(ingest: httpx.AsyncClient) -> None:
    answer = await ingest.post(PATH, content=upload(), headers={"Origin": EXTENSION})
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert exposed(answer) == EXPOSED


async def test_errors_carry_the_headers_too(anyone: httpx.AsyncClient, serve: Serve, hand: Deckhand) -> None:
    origin = {"Origin": EXTENSION}
    limited = serve(max_body_bytes=10)
    async with limited.client(hand.keys.api_key) as api:
        answers = [
            await anyone.get(PATH, headers=origin),
            await anyone.get("/nope", headers=origin),
            await anyone.put(PATH, headers=origin),
            await api.post(PATH, content=upload(), headers=origin),
            await api.post(PATH, content=b"{", headers=origin),
        ]
    assert [answer.status_code for answer in answers] == [401, 404, 405, 413, 400]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert exposed(answer) == EXPOSED
        assert answer.headers["X-Request-Id"]


async def test_only_the_configured_origins_are_let_in(serve: Serve, hand: Deckhand) -> None:
    web = serve(cors_origins=("https://app.example.com", EXTENSION))
    async with web.client(hand.keys.api_key) as api:
        ours = await api.get(PATH, headers={"Origin": EXTENSION})
        assert ours.headers["Access-Control-Allow-Origin"] == EXTENSION
        assert "Origin" in ours.headers["Vary"]
        theirs = await api.get(PATH, headers={"Origin": "https://evil.example.com"})
        assert "Access-Control-Allow-Origin" not in theirs.headers
        assert "Origin" in theirs.headers["Vary"]
        asked = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
        preflight = await api.options(PATH, headers=asked)
        assert "Access-Control-Allow-Origin" not in preflight.headers
        assert "Access-Control-Allow-Methods" not in preflight.headers


async def test_signed_urls_answer_for_themselves(anyone: httpx.AsyncClient) -> None:
    asked = {"Origin": EXTENSION, "Access-Control-Request-Method": "PUT"}
    preflight = await anyone.options("/storage/incoming/x", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers.get_list("Access-Control-Allow-Origin") == ["*"]
    refused = await anyone.get("/storage/tapes/../../etc/passwd", headers={"Origin": EXTENSION})
    assert refused.status_code in (403, 404)
    assert refused.headers.get_list("Access-Control-Allow-Origin") == ["*"]
