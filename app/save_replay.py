"""`/api/save-replay`: a complete session at once, from a web page or a program."""

import asyncio
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec
from litestar import Response, post

from app import openapi
from app.accepting import ERRORS, IdempotencyKey, accept_checked, answer_headers, checked_body
from app.auth import ApiRequest, Caller, needs
from app.checking import SESSION
from app.services import services_of
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
    responses=openapi.messages(*ERRORS),
)
async def save_replay(request: ApiRequest, idempotency_key: IdempotencyKey = None) -> Response[Saved]:
    """Accept a complete session. It is durable when the answer comes, and processed soon after."""
    async with checked_body(request, SESSION, idempotency_key) as checked:
        client = await _client(request, checked.head.client)
        new, replay = _new(request.auth, checked.head, client)
        accepted = await accept_checked(services_of(request), new, checked, idempotency_key, replay=replay)
    return Response(Saved("Recording saved successfully", accepted.id), headers=answer_headers(accepted))


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
