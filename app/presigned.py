"""URLs by which clients reach a video in storage without passing here."""

import time
from datetime import UTC, datetime

from app.documents import UploadUrl, timestamp
from app.services import Services

VIDEO_URL_TTL_S = 3600  # a player asks for ranges of it for as long as somebody watches


def upload_url(services: Services, name: str) -> UploadUrl:
    """Where to PUT the upload `name`, from now on and until the time it says, with any content type."""
    ttl_s = services.video.url_ttl_s
    expires_at = datetime.fromtimestamp(int(time.time()) + ttl_s, UTC)
    return UploadUrl(services.storage.sign_put(name, ttl_s=ttl_s), timestamp(expires_at))


def video_url(services: Services, name: str, container: str) -> str:
    """Where to GET a verified video, with Range, for VIDEO_URL_TTL_S; as what it is, not as what it was uploaded as."""
    return services.storage.sign_get(name, ttl_s=VIDEO_URL_TTL_S, content_type=f"video/{container}")
