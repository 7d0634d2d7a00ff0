"""The job `video_deadline`: a video that was announced is there by now, or the recording has failed.

A browser that was closed between upload and confirm loses nothing: whoever looks here confirms on its behalf.
"""

from models import queries, video
from models.ledger import ClaimLost
from models.lifecycle import Work
from workers.tools import Tools


async def video_deadline(work: Work, tools: Tools) -> None:
    """Run the job. Raises ClaimLost, and what database and storage raise."""
    recording = await queries.any_recording(tools.db, work.claim.recording_id)
    if recording is None:
        raise ClaimLost
    found = await tools.storage.find(recording.upload_name) if recording.upload_name else None
    await video.commit_deadline(tools.db, work.claim, generation=found.generation if found else None)
