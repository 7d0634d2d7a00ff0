"""Times of events as times of a calendar."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms: float) -> datetime | None:
    """The time that is so many milliseconds after 1970, UTC; None before the year 1 and after 9999."""
    try:
        return EPOCH + timedelta(milliseconds=ms)
    except OverflowError:  # event times may be anything that JavaScript can count
        return None
