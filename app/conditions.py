"""What request headers ask for: content negotiation, revalidation, preferences."""

import hashlib
import re
from collections.abc import Sequence

WAIT_MAX_S = 60

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*(?=[,;]|$)', re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def choose_encoding(accept_encoding: str | None, offered: Sequence[str]) -> str | None:
    """The content coding to answer with (RFC 9110, 12.5.3): the client's favourite of those `offered`, best first.

    `identity` where the client names none that is offered; None when it refuses even that (406).
    """
    if accept_encoding is None:
        return "identity"
    weights = _weights(accept_encoding)
    rest = weights.get("*", 0.0)
    chosen = max(offered, key=lambda coding: weights.get(coding, rest))
    weight = weights.get(chosen, rest)
    identity = weights.get("identity", weights.get("*", weight / 2))
    if weight > 0 and weight >= identity:
        return chosen
    return "identity" if identity > 0 or not {"identity", "*"} & weights.keys() else None


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """The media type to answer with (RFC 9110, 12.5.1), or None when the client accepts none of them (406)."""
    weights = _weights(accept or "*/*") or {"*/*": 1.0}

    def weight(media_type: str) -> float:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[name] for name in ranges if name in weights), 0.0)

    chosen = max(offered, key=weight)
    return chosen if weight(chosen) > 0 else None


def etag_of(*parts: bytes | str) -> str:
    """A strong entity tag for what these parts determine."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f'"{digest.hexdigest()}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has this representation already (RFC 9110, 13.1.2; weak comparison): answer 304."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_none_match)


def wait_seconds(prefer: str | None) -> int | None:
    """The `wait` preference (RFC 7240, 4.3), at most WAIT_MAX_S seconds; None when there is none that can be read."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1] or found[2]), WAIT_MAX_S) if found else None


def _weights(header: str) -> dict[str, float]:
    """The weight of each alternative; one whose weight cannot be read is left out."""
    weights: dict[str, float] = {}
    for alternative in header.split(","):
        name, *parameters = (part.strip().lower() for part in alternative.split(";"))
        weight = next((p.removeprefix("q=").strip() for p in parameters if p.startswith("q=")), "1")
        if name and _WEIGHT.fullmatch(weight):
            weights[name] = float(weight)
    return weights
