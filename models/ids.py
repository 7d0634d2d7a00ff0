"""Ids that sort by the time they were made (UUIDv7, RFC 9562): new rows land together in an index."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()
