"""`/api/v1/ops/recordings/{id}`: all that operators see of a recording. Never its content: who runs a deck need not watch."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from app import openapi, openapi_ops_recording
from app.auth import ApiRequest
from app.budget import OverBudget
from app.documents import failure_of, timestamp
from app.errors import Code, not_found
from app.ops import NO_STORE, NOTHING, OPERATORS, affordable
from app.ops_answers import life_of, moment
from app.ops_recording_documents import (
    AccountDocument,
    ObjectDocument,
    OperatedRecording,
    RejectedDocument,
    RowsDocument,
    TapeDocument,
    WaitingDocument,
)
from app.services import Services, services_of
from models import holdings, lives
from models.holdings import OBJECTS_MAX, Holdings
from models.object import ObjectState, StoredObject
from models.recording import Recording, Status
from replay import sidecar
from replay.findings import Warning  # noqa: A004  # API.md's word
from replay.inflate import BadStream, inflated
from storage.protocol import NotFound, StorageError

STORAGE_S = 2.0
SIDECAR_MAX_BYTES = 32 << 20  # decompressed: to count reasons all of it is read


@get(
    "/recordings/{recording_id:uuid}",
    guards=OPERATORS,
    operation_class=openapi_ops_recording.RECORDING,
    responses=openapi.problems(Code.NOT_FOUND, Code.TOO_COSTLY),
)
async def read_holdings(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[OperatedRecording]:
    """Everything that happened to a recording, in its order, and what is held of it; deleted ones too, until they are purged."""
    return Response(await recording_document(services_of(request), recording_id), headers=NO_STORE)


async def recording_document(services: Services, recording_id: UUID) -> OperatedRecording:
    """All that there is to know of a recording. Raises ApiError: there is none (any more)."""
    async with affordable(NOTHING):
        life = await lives.life_of(services.db, recording_id)
        held = await holdings.holdings_of(services.db, recording_id)
    if life is None or held is None:
        raise not_found()
    told = msgspec.structs.asdict(life_of(recording_id, life))
    rejected = await rejected_of(services, held)
    return OperatedRecording(**told, **_held(held, services.failed_payload_days), rejected=rejected)


async def rejected_of(services: Services, held: Holdings) -> RejectedDocument:
    """Why events were rejected, as far as that can be had within STORAGE_S seconds. Raises nothing of storage's."""
    if not (held.recording.account or {}).get("rejected"):
        return RejectedDocument("none", {})
    if held.sidecar is None:
        return RejectedDocument("not_kept", {})
    if (held.sidecar.size or 0) > SIDECAR_MAX_BYTES:
        return RejectedDocument("too_large", {})
    try:
        async with asyncio.timeout(STORAGE_S):
            reasons = await services.reasons.find(held.sidecar.name, partial(_reasons, services))
        return RejectedDocument("told", dict(reasons))
    except NotFound:
        return RejectedDocument("not_kept", {})
    except (StorageError, TimeoutError):
        return RejectedDocument("storage_away", {})
    except BadStream:
        return RejectedDocument("too_large", {})
    except OverBudget:
        return RejectedDocument("busy", {})


async def _reasons(services: Services, name: str) -> dict[str, int]:
    with services.budget.hold() as hold:
        chunks = []
        async with aclosing(services.storage.read(name)) as read:
            async for chunk in read:
                hold.take(len(chunk))
                chunks.append(chunk)
        return await asyncio.to_thread(
            lambda: sidecar.reasons(inflated(chunks, SIDECAR_MAX_BYTES, hold.take))
        )


def _held(held: Holdings, failed_payload_days: float) -> dict[str, Any]:
    recording = held.recording
    account, summary = recording.account, recording.summary or {}
    names = ("project_id", "name", "source", "is_open", "has_video", "masked")
    return {
        **{name: getattr(recording, name) for name in names},
        "created_at": timestamp(recording.created_at),
        "updated_at": timestamp(recording.updated_at),
        "on_hold": recording.held_at is not None,
        "failure": failure_of(recording),
        "payload": WaitingDocument(*held.waiting, _kept_until(recording, failed_payload_days)),
        "tape": _tape_of(held),
        "objects": [_object_of(one) for one in held.objects[:OBJECTS_MAX]],
        "more_objects": len(held.objects) > OBJECTS_MAX,
        "account": msgspec.convert(account, AccountDocument | None),
        "bytes_by_type": summary.get("bytes_by_type", {}),
        "warnings": msgspec.convert(recording.warnings, list[Warning]),
        "rows": _rows_of(held),
    }


def _kept_until(recording: Recording, days: float) -> str | None:
    """When the payload of a failed recording is dropped, as `models.sweep` does it."""
    stays = recording.is_open or recording.held_at is not None
    if recording.status is not Status.FAILED or recording.failure_at is None or stays:
        return None
    return timestamp(recording.failure_at + timedelta(days=days))


def _tape_of(held: Holdings) -> TapeDocument | None:
    name, account = held.recording.tape_name, held.recording.account
    if name is None or account is None or held.recording.deleted_at is not None:
        return None
    size, stored = account["bytes"], account["stored_bytes"]
    ratio = round(size / stored, 2) if stored else None
    return TapeDocument(name, held.tape_parts, account["stored"], size, stored, ratio)


def _object_of(stored: StoredObject) -> ObjectDocument:
    expires_at = None if stored.state is ObjectState.LIVE else stored.expires_at
    kind, state = stored.kind.value, stored.state.value
    return ObjectDocument(
        stored.name, kind, state, stored.size, timestamp(stored.created_at), moment(expires_at)
    )


def _rows_of(held: Holdings) -> RowsDocument | None:
    if held.rows is None or held.rows.related_at is None:
        return None
    current = held.recording.rows_tape_name == held.recording.tape_name
    return RowsDocument(held.rows.event_count or 0, timestamp(held.rows.related_at), current)


HANDLERS: tuple[Any, ...] = (read_holdings,)
