"""The job `purge`: what a deleted recording left behind goes, for good.

Objects first, then the rows of its events, its own row last, so that a purge that is interrupted finds what it still has to do. An object that was
being put when the recording was deleted, or that a presigned URL can still bring, is only gone for good once its put
deadline is over: the job then comes back.
"""

from models import deletion, relating, sweep
from models.lifecycle import Work
from workers.expired import delete_expired
from workers.tools import Tools


async def purge(work: Work, tools: Tools) -> None:
    """Run the job. Raises ClaimLost, and what database and storage raise."""
    await delete_expired(tools.db, tools.storage, recording_id=work.claim.recording_id)
    for name in await sweep.uploads_of(tools.db, work.claim.recording_id):
        await tools.storage.delete(name)
    await relating.purge(tools.db, work.claim)
    await deletion.commit_purged(tools.db, work.claim)
