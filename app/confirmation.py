"""Confirming the upload of a video: whoever says so, storage has the last word."""

from enum import Enum, auto

from app.services import Services
from models import video
from models.recording import Recording
from models.video import NotAwaited


class Confirmation(Enum):
    """What became of it."""

    DONE = auto()  # confirmed now, by this call
    ABSENT = auto()  # storage has no such object
    OUTDATED = auto()  # the recording is not what it was when it was read: read it again


async def confirm_upload(services: Services, recording: Recording) -> Confirmation:
    """Confirm what storage has now, if this recording awaits it. Raises what storage raises."""
    upload = recording.upload_name
    found = await services.storage.find(upload) if upload else None
    if upload is None or found is None:
        return Confirmation.ABSENT
    try:
        await video.confirm(services.db, recording.id, upload_name=upload, generation=found.generation)
    except NotAwaited:
        return Confirmation.OUTDATED
    services.doorbell.ring()
    return Confirmation.DONE
