"""The job `mask`: what a recording keeps is masked again, by its project's policy and by the rules that were asked for."""

from models.lifecycle import Work
from workers.tools import Tools


async def mask(work: Work, tools: Tools) -> None:
    raise NotImplementedError
