"""`/api/save-replay`: a complete session at once, from a web page or a program."""

import asyncio
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec
from litestar import Response, post

from app import openapi
from app.accepting import IdempotencyKey, accept_checked, check_key
from app.admission import admitted_body
from app.auth import Caller, needs
from app.checking import SESSION
from app.errors import Code
from app.recordings import PATH as RECORDINGS
from app.recordings import ApiRequest
from app.services import services_of
from app.uploads import check_body
from app.user_agent import client_of_user_agent
from models.accept import NewRecording, NewReplay
from models.recording import Source
from models.tenancy import Scope
from replay.client import Client
from replay.mask import masker_of
from replay.session import Opening

PATH = "/api/save-replay"


class Saved(msgspec.Struct):
    """A session that was accepted: durable from now on, whatever happens."""

    message: Literal["Recording saved successfully"]
    replayId: UUID  # noqa: N815  # API.md's name


@post(
    PATH,
    guards=[needs(Scope.INGEST)],
    tags=["Complete sessions"],
    security=openapi.SECURITY,
    request_max_body_size=None,
    operation_class=openapi.SAVE_REPLAY,
    responses=openapi.messages(
        Code.VALIDATION_ERROR,
        Code.REQUEST_TIMEOUT,
        Code.IDEMPOTENCY_IN_PROGRESS,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.IDEMPOTENCY_KEY_REUSED,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
    ),
)
async def save_replay(request: ApiRequest, idempotency_key: IdempotencyKey = None) -> Response[Saved]:
    """Accept a complete session. It is durable when the answer comes, and processed soon after."""
    services = services_of(request)
    check_key(idempotency_key)
    async with admitted_body(request) as body:
        checked = await check_body(body, SESSION, services.apart, digest=idempotency_key is not None)
        opening = checked.head
        client = await _client(request, opening.client)
        new, replay = _new(request.auth, opening, client)
        accepted = await accept_checked(services, new, checked, idempotency_key, replay=replay)
    headers = {"Location": f"{RECORDINGS}/{accepted.id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(Saved("Recording saved successfully", accepted.id), headers=headers)


async def _client(request: ApiRequest, said: Client) -> Client:
    """What the session says of its client, completed by what the request says."""
    if not (said.browser_name and said.os_name and said.device_type):
        user_agent = request.headers.get("User-Agent", "")
        said = said.or_else(await asyncio.to_thread(client_of_user_agent, user_agent))
    address = services_of(request).proxies.address_of(request)
    return said.or_else(Client(ip=str(address) if address else None))


def _new(caller: Caller, opening: Opening, client: Client) -> tuple[NewRecording, NewReplay]:
    masker = masker_of(caller.privacy)
    new = NewRecording(
        tenant_id=caller.tenant_id,
        project_id=caller.project_id,
        user_id=caller.user_id,
        api_key_id=caller.api_key_id,
        source=Source.REPLAY,
        started_at=opening.started_at or datetime.now(UTC),  # no event has a time: processing will tell
        ended_at=opening.ended_at,
    )
    return new, NewReplay(opening.html_hash, client.masked(masker.string, masker.ip_addresses))
