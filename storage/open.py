"""From STORAGE_URL to a storage."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import google.auth
from google.auth.credentials import AnonymousCredentials, Signing
from google.auth.exceptions import DefaultCredentialsError
from google.oauth2 import service_account

from storage.directory import Directory
from storage.gcs import GcsStorage
from storage.local import LocalStorage
from storage.protocol import Refused, Storage
from storage.signing import Signer

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


def open_storage(
    url: str,
    *,
    secret_key: str,
    base_url: str,
    emulator_host: str | None = None,
    cors_origins: Sequence[str] = ("*",),
    max_put_bytes: int = 2 * 1024**3,
    upload_deadline_s: float = 21600,
) -> Storage:
    """The storage that `url` names: `gs://bucket` or `file:///path`. Makes no network calls; `check` does.

    `secret_key`, `base_url` (where clients reach this deck), `cors_origins`, `max_put_bytes` and `upload_deadline_s` are
    for the signed URLs of a local directory; Google signs, serves and bounds its own. Raises Refused, with one line for the operator,
    when the URL is wrong or the credentials are missing or cannot sign; Unavailable when the disk is away.
    """
    parts = urlsplit(url)
    if parts.scheme == "gs" and parts.netloc and parts.path in ("", "/"):
        return _open_bucket(parts.netloc, emulator_host)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and parts.path != "/":
        directory = Directory(Path(unquote(parts.path)))
        signer = Signer(secret_key, base_url)
        return LocalStorage(
            directory,
            signer,
            max_put_bytes=max_put_bytes,
            upload_deadline_s=upload_deadline_s,
            cors_origins=cors_origins,
        )
    raise Refused(f"STORAGE_URL must be gs://bucket or file:///path, not {url!r}")


def _open_bucket(bucket: str, emulator_host: str | None) -> GcsStorage:
    if emulator_host:
        endpoint = emulator_host if "://" in emulator_host else f"http://{emulator_host}"
        nobody = _EmulatorCredentials()  # type: ignore[no-untyped-call]
        return GcsStorage(bucket, nobody, project="emulator", endpoint=endpoint.rstrip("/"))
    try:
        credentials, project = google.auth.default(scopes=[SCOPE])
    except (
        DefaultCredentialsError,
        AttributeError,
    ) as error:  # the latter when the file is JSON, but no object
        raise Refused(
            f"gs://{bucket}: no credentials; set GOOGLE_APPLICATION_CREDENTIALS ({error})"
        ) from error
    if not isinstance(
        credentials, service_account.Credentials
    ):  # others sign by asking Google, or not at all
        raise Refused(
            f"gs://{bucket}: these credentials cannot sign URLs; "
            "point GOOGLE_APPLICATION_CREDENTIALS at the key file of a service account"
        )
    return GcsStorage(bucket, credentials, project=project, endpoint=None)


class _EmulatorCredentials(AnonymousCredentials, Signing):
    """Nobody's credentials, for an emulator, which wants signed URLs to look signed and checks no signature."""

    @property
    def signer_email(self) -> str:
        return "nobody@emulator"

    @property
    def signer(self) -> None:
        return None

    def sign_bytes(self, message: bytes) -> bytes:
        return bytes(32)
