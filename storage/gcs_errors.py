"""What Google and its libraries raise, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import google.api_core.exceptions as api
import google.auth.exceptions
import urllib3.exceptions

from storage.protocol import NotFound, Refused, Unavailable


class Taken(Exception):
    """412: there is an object of that name."""


class PastTheEnd(Exception):
    """416: the object has no such bytes."""


@contextmanager
def google_errors_named() -> Iterator[None]:
    """Everything that Google's libraries raise, as what `protocol` knows, Taken or PastTheEnd."""
    try:
        yield
    except api.NotFound as error:
        raise NotFound("no such object in the bucket") from error
    except api.PreconditionFailed as error:
        raise Taken from error
    except api.RequestRangeNotSatisfiable as error:
        raise PastTheEnd from error
    except api.GoogleAPICallError as error:
        away = error.code in (408, 429) or (error.code or 500) >= 500
        raise (Unavailable if away else Refused)(f"GCS: {error.code} {_line(error)}") from error
    except google.auth.exceptions.GoogleAuthError as error:
        away = isinstance(error, google.auth.exceptions.TransportError) or error.retryable
        raise (Unavailable if away else Refused)(f"GCS credentials: {_line(error)}") from error
    except (OSError, urllib3.exceptions.HTTPError) as error:  # requests' errors are OSErrors
        raise Unavailable(f"GCS: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
