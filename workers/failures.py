"""What an exception means for the job that raised it: one of the kinds that `models.retry` decides on."""

import errno
import traceback
from dataclasses import replace

from models.db import is_away
from models.recording import FailureCode
from models.retry import Failure, FailureKind
from replay.plan import BadRecording
from storage.protocol import Refused, Unavailable
from workers.video.inspect import BadVideo

DETAIL_CHARS = 8000
EXCEPTION_CHARS = 500
OURS = frozenset({"workers", "models", "replay", "storage"})
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ShuttingDown(Exception):
    """This worker is being stopped; the job is handed back and costs nothing."""


class NoTurn(Exception):
    """Other recordings kept this worker busy for too long; the job is handed back and costs nothing."""


class TookTooLong(Exception):
    """The attempt passed its time limit."""


LOST = Failure(
    FailureKind.LOSS,
    FailureCode.WORKER_LOST,
    "The worker that processed this recording was lost, again and again.",
)


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception of a job stands for. Its message is fit for the recording's owner."""
    said = " ".join("".join(traceback.format_exception_only(error)).split())[:EXCEPTION_CHARS]
    return replace(_failure_of(error), exception=_storable(said), place=_place(error))


def _failure_of(error: BaseException) -> Failure:
    detail = _storable("".join(traceback.format_exception(error))[-DETAIL_CHARS:])
    match error:
        case BadRecording():
            return Failure(FailureKind.BAD_INPUT, FailureCode(error.code), _storable(error.message))
        case BadVideo():
            return Failure(FailureKind.BAD_INPUT, error.code, _storable(error.message))
        case ShuttingDown():
            return Failure(FailureKind.STOPPED, FailureCode.PROCESSING_FAILED, "The worker was stopped.")
        case NoTurn():
            return Failure(FailureKind.STOPPED, FailureCode.PROCESSING_FAILED, "The worker was busy.")
        case TookTooLong() | MemoryError():
            return Failure(FailureKind.LOSS, FailureCode.WORKER_LOST, LOST.message, detail)
        case Unavailable():
            return Failure(
                FailureKind.AWAY, FailureCode.STORAGE_UNAVAILABLE, "Storage could not be reached.", detail
            )
        case Refused():
            return Failure(
                FailureKind.FAULT, FailureCode.STORAGE_UNAVAILABLE, "Storage refused to work.", detail
            )
        case _ if is_away(error):
            return Failure(
                FailureKind.AWAY, FailureCode.PROCESSING_FAILED, "The database could not be reached.", detail
            )
        case OSError() if error.errno in DISK_IS_FULL:
            return Failure(
                FailureKind.AWAY, FailureCode.PROCESSING_FAILED, "A worker's disk is full.", detail
            )
        case _:
            return Failure(
                FailureKind.FAULT, FailureCode.PROCESSING_FAILED, "Processing failed unexpectedly.", detail
            )


def _place(error: BaseException) -> str:
    """`module:function` of the innermost frame that is our own code; empty when there is none."""
    names = [
        f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_qualname}"
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    return next((name for name in reversed(names) if name.partition(".")[0] in OURS), "")


def _storable(text: str) -> str:
    """Without what Postgres cannot store: NUL and lone surrogates, which an error may quote from an event."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
