"""The job `close`: an open recording that has been idle for long enough, or is as old or large as it may be, is closed."""

from models import live
from models.lifecycle import Work
from workers.tools import Tools


async def close(work: Work, tools: Tools) -> None:
    """Run the job. Raises ClaimLost, and what the database raises."""
    await live.commit_closed(tools.db, work.claim, tools.live)
