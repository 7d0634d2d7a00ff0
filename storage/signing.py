"""Signed, expiring URLs for objects of a local directory.

    {base_url}/storage/{name}?method=PUT&expires=1777892400&max_bytes=2147483648&signature=5f0c…
    {base_url}/storage/{name}?method=GET&expires=1777892400&content_type=video%2Fwebm&signature=91ab…

`expires` is in Unix seconds; `max_bytes` bounds what a PUT may bring; a GET may say the `content_type` of its answer.
`signature` is the HMAC-SHA256, in hex, of method, name, expires, max_bytes and content_type, each on a line, nothing
for an absent one. Its key is the HMAC-SHA256 of a constant under the deck's secret key, so that nothing else signed with
that key can pass for a URL.
"""

import hashlib
import hmac
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

_PURPOSE = b"tapedeck: signed storage URLs, version 1"


class BadSignature(Exception):
    """The URL was not made by this deck, was changed, or has expired. The message may be shown to the caller."""


class Grant(NamedTuple):
    """What a URL allows: one method on one object."""

    method: str
    name: str
    expires: int
    max_bytes: int | None = None
    content_type: str | None = None


class Signer:
    """Makes and checks signed URLs."""

    def __init__(self, secret_key: str, base_url: str) -> None:
        self._key = hmac.digest(secret_key.encode(), _PURPOSE, "sha256")
        self._base_url = base_url.rstrip("/")

    def url(self, grant: Grant) -> str:
        """The URL that carries the grant."""
        query: dict[str, str | int] = {"method": grant.method, "expires": grant.expires}
        if grant.max_bytes is not None:
            query["max_bytes"] = grant.max_bytes
        if grant.content_type is not None:
            query["content_type"] = grant.content_type
        query["signature"] = self._signature(grant)
        return f"{self._base_url}/storage/{grant.name}?{urlencode(query)}"

    def verify(self, name: str, query: bytes, *, now: float) -> Grant:
        """The grant that a URL's query string carries for the object. Raises BadSignature."""
        try:
            pairs = parse_qsl(
                query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=5
            )
            fields = dict(pairs)
            signature = fields.pop("signature")
            max_bytes = fields.pop("max_bytes", None)
            content_type = fields.pop("content_type", None)
            grant = Grant(
                fields.pop("method"),
                name,
                _number(fields.pop("expires")),
                None if max_bytes is None else _number(max_bytes),
                content_type,
            )
            if (
                fields
                or len(pairs) != 3 + (max_bytes is not None) + (content_type is not None)
                or content_type == ""
            ):
                raise ValueError(query)
        except (KeyError, ValueError):
            raise BadSignature("This is not a signed URL.") from None
        if not hmac.compare_digest(signature.encode(), self._signature(grant).encode()):
            raise BadSignature("The signature does not match the URL.")
        if now >= grant.expires:
            raise BadSignature("The URL has expired.")
        return grant

    def _signature(self, grant: Grant) -> str:
        text = "\n".join("" if part is None else str(part) for part in grant)
        return hmac.new(self._key, text.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()


def _number(text: str) -> int:
    number = int(text)
    if str(number) != text:  # int() also takes " 1", "+1", "1_0" and other people's digits
        raise ValueError(text)
    return number
