"""Ids that sort by the time they were made (UUIDv7, RFC 9562): new rows land together in an index."""

from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

CLOCKS_DIFFER = timedelta(hours=1)
"""Of ids, which the web processes make, and Postgres: by less."""


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def first_id(when: datetime) -> UUID:
    """The smallest UUIDv7 of this millisecond."""
    return UUID(int=max(0, int(when.timestamp() * 1000)) << 80)
