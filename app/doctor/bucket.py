"""A bucket's own rules: may browsers use it, and do deletes delete, at our word and no sooner?"""

from collections.abc import Sequence

from app.doctor.findings import Finding, Findings, fail, line, ok, warn
from storage.configuration import BucketConfiguration, CorsRule, LifecycleRule, bucket_configuration
from storage.protocol import Refused, Storage, Unavailable

DAY_S = 86400
SENT = "Content-Type"
SEEN = ("Content-Length", "Content-Range", "Accept-Ranges", "ETag")
KEPT = ("tapes/", "sidecars/", "videos/")
AWAITED = "incoming/"
GUIDE = "docs/operations.md, Storage, has a cors.json that does it"


async def bucket(storage: Storage, origins: Sequence[str]) -> Findings:
    """What is to be said of the storage's bucket; nothing when it has none."""
    try:
        configuration = await bucket_configuration(storage)
    except Refused as error:
        says = (
            f"its configuration cannot be read ({line(error)}): give the account storage.buckets.get "
            "(roles/storage.bucketViewer), or look at CORS, soft delete, versioning and lifecycle yourself"
        )
        yield warn("bucket", says)
        return
    except Unavailable as error:
        yield fail(
            "bucket", f"its configuration cannot be read: {line(error)}; see whether it can be reached"
        )
        return
    if configuration is not None:
        for finding in judge(configuration, origins):
            yield finding


def judge(configuration: BucketConfiguration, origins: Sequence[str]) -> list[Finding]:
    """What the configuration means for a deck whose clients are pages of these origins ("*": any)."""
    found = [_of_cors(configuration.cors, origin) for origin in origins]
    soft_s = configuration.soft_delete_policy.retention_duration_seconds
    if soft_s:
        says = (
            f"on: what is deleted can be restored, and is paid for, {soft_s / DAY_S:g} more days. A safety net; where "
            "deleted must mean gone: `gcloud storage buckets update gs://… --clear-soft-delete`"
        )
        found.append(warn("soft delete", says))
    else:
        found.append(ok("soft delete", "off: deleted is gone"))
    if configuration.versioning.enabled:
        says = "on: deleted recordings stay as noncurrent versions; `gcloud storage buckets update gs://… --no-versioning`"
        found.append(warn("versioning", says))
    if configuration.retention_policy.retention_period or configuration.default_event_based_hold:
        says = "deleting is refused for a time, so that purges fail: clear the bucket's retention policy and default hold"
        found.append(fail("retention", says))
    found += [finding for rule in configuration.lifecycle.rule for finding in _of_lifecycle(rule)]
    return found


def _of_cors(rules: Sequence[CorsRule], origin: str) -> Finding:
    whose = "all pages" if origin == "*" else f"pages of {origin}"
    ours = [rule for rule in rules if "*" in rule.origin or origin in rule.origin]
    puts = [rule for rule in ours if _has(rule.method, "PUT")]
    if not any(_has(rule.response_header, SENT) for rule in puts):
        missing = f"send {SENT} with a PUT" if puts else "PUT"
        return fail(
            "CORS", f"the bucket does not let {whose} {missing}, so videos cannot be uploaded: {GUIDE}"
        )
    gets = [rule for rule in ours if _has(rule.method, "GET")]
    if not gets:
        return fail("CORS", f"the bucket does not let {whose} GET, so videos cannot be played: {GUIDE}")
    hidden = [header for header in SEEN if not any(_has(rule.response_header, header) for rule in gets)]
    if hidden:
        return warn("CORS", f"{whose} cannot see {', '.join(hidden)} of an answer: {GUIDE}")
    return ok("CORS", f"the bucket lets {whose} PUT and GET with ranges")


def _has(allowed: Sequence[str], wanted: str) -> bool:
    return any(value == "*" or value.lower() == wanted.lower() for value in allowed)


def _of_lifecycle(rule: LifecycleRule) -> list[Finding]:
    if rule.action.type != "Delete" or not rule.condition.meets_live_objects:
        return []
    prefixes = rule.condition.matches_prefix or [""]
    lost = [ours for ours in KEPT if any(_overlap(prefix, ours) for prefix in prefixes)]
    if lost:
        says = f"a rule deletes what recordings refer to, below {', '.join(lost)}: remove it; Tapedeck deletes by itself"
        return [fail("lifecycle", says)]
    if any(_overlap(prefix, AWAITED) for prefix in prefixes):
        says = f"a rule deletes uploads below {AWAITED}: Tapedeck does so by itself, and needs them until they are verified"
        return [warn("lifecycle", says)]
    return []


def _overlap(prefix: str, other: str) -> bool:
    return prefix.startswith(other) or other.startswith(prefix)
