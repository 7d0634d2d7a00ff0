"""POST /api/v1/recordings: what is accepted, and what comes of it."""

from uuid import UUID

import httpx

from tests.factories import upload

PATH = "/api/v1/recordings"


async def test_a_recording_is_accepted(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, content=upload(name="Login flow"))
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert created == {"id": created["id"], "status": "uploading"}
    assert UUID(created["id"]).version == 7
    assert answer.headers["Location"] == f"{PATH}/{created['id']}"
    assert (await api.get(answer.headers["Location"])).status_code == 200
