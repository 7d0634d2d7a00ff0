"""A service with videos, a storage it keeps them in, and a worker's hands to do its jobs with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from app.recordings import PATH
from models import lifecycle
from models.job import JobKind
from models.retry import Policy
from tests.factories import job_of, upload
from tests.models.steps import make_due
from workers.failures import failure_of
from workers.runner import JOBS
from workers.tools import Tools

FOLDER = Path(__file__).parents[1] / "fixtures" / "videos"
WEBM = (FOLDER / "vp9-opus.webm").read_bytes()
OTHER_WEBM = (FOLDER / "vp8-opus.webm").read_bytes()
MP4 = (FOLDER / "h264-opus.mp4").read_bytes()


@dataclass(frozen=True)
class Videos:
    """`api` has a key that may do everything with recordings, `ingest` one that may only send them."""

    api: httpx.AsyncClient
    ingest: httpx.AsyncClient
    tools: Tools

    async def create(self, **fields: Any) -> dict[str, Any]:
        """A new recording whose video is awaited, as the ingest key is told of it."""
        answer = await self.ingest.post(PATH, content=upload(**{"has_video": True} | fields))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def put(
        self, url: str, content: Any = WEBM, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """PUT to a presigned URL, without a key."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as browser:
            return await browser.put(self._where_it_is(url), content=content, headers=headers)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """GET a signed URL, without a key."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as browser:
            return await browser.get(self._where_it_is(url), headers=headers)

    def _where_it_is(self, url: str) -> str:
        """A local directory's URLs are signed for the port that is configured, not for the one the service got."""
        parts = urlsplit(url)
        here = urlsplit(str(self.api.base_url))
        return parts._replace(netloc=here.netloc).geturl() if parts.path.startswith("/storage/") else url

    async def uploaded(self, content: bytes = WEBM, **fields: Any) -> str:
        """The path of a recording whose video is in storage, not confirmed."""
        created = await self.create(**fields)
        assert (await self.put(created["video_upload_url"], content)).status_code == 200
        return f"{PATH}/{created['id']}"

    async def confirm(self, path: str) -> httpx.Response:
        """Confirm it, as who sent it."""
        return await self.ingest.post(f"{path}/confirm-video")

    async def work(self, path: str, *kinds: JobKind) -> dict[str, Any]:
        """Do these jobs of a recording as a worker would, due or not; the recording after that."""
        recording_id = UUID(path.rpartition("/")[2])
        for kind in kinds:
            await self._do(recording_id, kind)
        read: dict[str, Any] = (await self.api.get(path)).json()
        return read

    async def _do(self, recording_id: UUID, kind: JobKind) -> None:
        await make_due(self.tools.db)
        job = await job_of(self.tools.db, recording_id, kind)
        assert job, kind
        work = await lifecycle.claim(self.tools.db, job.id, worker="test", lease_s=60, put_deadline_s=60)
        assert work, kind
        try:
            await JOBS[kind](work, self.tools)
        except Exception as error:
            policy = Policy(max_attempts=1)
            await lifecycle.settle(self.tools.db, recording_id, work.claim.id, failure_of(error), policy)
