"""How the place where objects live is set up: the bucket's own rules, the disk's room. Read here, never changed."""

import shutil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from storage.directory import DRAFTS
from storage.gcs import GcsStorage
from storage.protocol import Storage


class CorsRule(msgspec.Struct, rename="camel"):
    """Which pages may send what, and which headers they may send and see."""

    origin: list[str] = []
    method: list[str] = []
    response_header: list[str] = []


class SoftDelete(msgspec.Struct, rename="camel"):
    retention_duration_seconds: int = 0


class Versioning(msgspec.Struct):
    enabled: bool = False


class Retention(msgspec.Struct, rename="camel"):
    retention_period: int = 0


class Action(msgspec.Struct):
    type: str = ""


class Condition(msgspec.Struct, rename="camel"):
    """The part of a rule's condition that tells which objects it can meet."""

    matches_prefix: list[str] = []
    is_live: bool | None = None
    num_newer_versions: int | None = None
    days_since_noncurrent_time: int | None = None
    noncurrent_time_before: str | None = None

    @property
    def meets_live_objects(self) -> bool:
        noncurrent = (self.num_newer_versions, self.days_since_noncurrent_time, self.noncurrent_time_before)
        return self.is_live is not False and not any(noncurrent)


class LifecycleRule(msgspec.Struct):
    action: Action = msgspec.field(default_factory=Action)
    condition: Condition = msgspec.field(default_factory=Condition)


class Lifecycle(msgspec.Struct):
    rule: list[LifecycleRule] = []


class BucketConfiguration(msgspec.Struct, rename="camel"):
    """Of a bucket, what concerns a deck. https://cloud.google.com/storage/docs/json_api/v1/buckets#resource"""

    cors: list[CorsRule] = []
    soft_delete_policy: SoftDelete = msgspec.field(default_factory=SoftDelete)
    versioning: Versioning = msgspec.field(default_factory=Versioning)
    retention_policy: Retention = msgspec.field(default_factory=Retention)
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)
    default_event_based_hold: bool = False


async def bucket_configuration(storage: Storage) -> BucketConfiguration | None:
    """The configuration of the storage's bucket; None when it has none.

    Raises Unavailable, or Refused: it takes the permission `storage.buckets.get`, which a deck needs for nothing else.
    """
    if not isinstance(storage, GcsStorage):
        return None
    return msgspec.convert(await storage.bucket_resource(), BucketConfiguration, strict=False)


class Disk(NamedTuple):
    """The folder of a local storage. `is_in_use`: a deck has opened it before. Room in bytes."""

    root: Path
    is_in_use: bool
    free: int
    total: int


def disk(url: str) -> Disk | None:
    """Where a `file://` URL leads; None for another URL. Makes nothing. Raises OSError when the folder is not there."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    root = Path(unquote(parts.path))
    usage = shutil.disk_usage(root)
    return Disk(root, (root / DRAFTS).is_dir(), usage.free, usage.total)
