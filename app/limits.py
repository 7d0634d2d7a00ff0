"""Limits of rate: how many requests and bytes a minute one caller, and one project, may send.

Bytes are those of bodies as sent. A caller is an API key, or the user of a sign-in session; the project is the key's, or the
user's default one. What is refused costs nothing. A body that is larger than a minute's bytes costs the whole minute: it is
let in when the bucket is full.

Answers say how it stands in the fields of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` has the quotas (`q`,
within `w` seconds), `RateLimit` what is left of them (`r`) and in how many seconds they are whole again, or what was
refused is worth sending again (`t`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.buckets import WINDOW_S, Bucket, Stores, Taken, take_all
from app.errors import ApiError, Code


@dataclass(frozen=True)
class Quotas:
    """Requests and bytes a minute; 0: any number."""

    requests: int
    size: int
    project_requests: int
    project_size: int


@dataclass(frozen=True)
class Sender:
    """Who sends a request, without `api_key_id` in a session."""

    project_id: UUID
    user_id: UUID
    api_key_id: UUID | None


@dataclass(frozen=True)
class _Policy:
    """A quota that requests of one kind of sender count against, as their answers name it."""

    name: str
    bucket: Bucket
    is_of_project: bool
    counts_bytes: bool

    @property
    def said(self) -> str:
        unit = ';qu="content-bytes"' if self.counts_bytes else ""
        return f'"{self.name}";q={self.bucket.quota}{unit};w={WINDOW_S}'

    def standing(self, taken: Taken) -> str:
        quota = self.bucket.quota
        until_s = (quota - taken.left) * WINDOW_S / quota if taken.granted else taken.wait_s
        return f'"{self.name}";r={taken.left};t={math.ceil(until_s)}'


@dataclass(frozen=True)
class Charge:
    """What became of a charge. `headers`: what the answer says of it; `refusal`: it was not granted."""

    headers: dict[str, str]
    refusal: ApiError | None = None


class RateLimits:
    """The limits of all senders. Close it in the event loop that it was used in."""

    def __init__(self, redis_url: str, quotas: Quotas) -> None:
        self.quotas = quotas
        self._stores = Stores(redis_url)
        project = self._policies("project", quotas.project_requests, quotas.project_size)
        self._of_keys = [*self._policies("key", quotas.requests, quotas.size), *project]
        self._of_users = [*self._policies("user", quotas.requests, quotas.size), *project]

    async def charge(self, sender: Sender, *, requests: int, size: int) -> Charge:
        """Charge a request, or its bytes, or both, to all that it counts against, or to none."""
        policies = self._of_keys if sender.api_key_id else self._of_users
        if not policies:
            return Charge({})
        whose, project = str(sender.api_key_id or sender.user_id), str(sender.project_id)
        wanted = [
            (one.bucket, project if one.is_of_project else whose, size if one.counts_bytes else requests)
            for one in policies
        ]
        taken = await take_all(wanted)
        standings = [policy.standing(one) for policy, one in zip(policies, taken, strict=False)]
        headers = {"RateLimit-Policy": _said(policies), "RateLimit": ", ".join(standings)}
        if taken[-1].granted:
            return Charge(headers)
        return Charge(headers, _refusal(policies[len(taken) - 1], taken[-1]))

    async def close(self) -> None:
        await self._stores.close()

    def _policies(self, whose: str, requests: int, size: int) -> list[_Policy]:
        return [
            _Policy(
                f"{whose}-{what}",
                Bucket(self._stores, f"{whose}-{what}", quota),
                whose == "project",
                what == "bytes",
            )
            for what, quota in (("requests", requests), ("bytes", size))
            if quota
        ]


def _said(policies: Sequence[_Policy]) -> str:
    return ", ".join(policy.said for policy in policies)


def _refusal(policy: _Policy, taken: Taken) -> ApiError:
    wait_s = max(1, math.ceil(taken.wait_s))
    what = "bytes" if policy.counts_bytes else "requests"
    whose = policy.name.partition("-")[0]
    allowed = f"{policy.bucket.quota} a minute are allowed"
    detail = f"Too many {what} from this {whose}: {allowed}. Try again in {wait_s} seconds."
    return ApiError(Code.RATE_LIMITED, detail, headers={"Retry-After": str(wait_s)})
