"""The job `purge`: what a deleted recording left behind goes, for good.

Objects first, the row last, so that a purge that is interrupted finds what it still has to do. An object that was
being put when the recording was deleted is only gone once its put deadline is over: the job then comes back.
"""

from models import lifecycle, sweep
from models.lifecycle import Work
from workers.tools import Tools

BATCH = 100


async def purge(work: Work, tools: Tools) -> None:
    """Run the job. Raises ClaimLost, and what database and storage raise."""
    while names := await sweep.take_expired_objects(
        tools.db, limit=BATCH, recording_id=work.claim.recording_id
    ):
        for name in names:
            await tools.storage.delete(name)
        await sweep.forget_objects(tools.db, names)
    await lifecycle.commit_purged(tools.db, work.claim)
