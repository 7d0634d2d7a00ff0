"""A recording in words: short for a line, in full for `show`. Takes the API's JSON, reduced or not yet processed too."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

PAGES_SHOWN = 20


def duration(ms: float | None) -> str:
    """`1.2 s`, `2:30`, `1:02:30`; empty for None."""
    if ms is None:
        return ""
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size(count: float) -> str:
    """`312 B`, `4.1 MB`: powers of ten, as disks are sold."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def plural(count: int, what: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def counts(found: dict[str, int]) -> str:
    """`2 card_number, 1 key`; `nothing`."""
    return ", ".join(f"{count} {what}" for what, count in found.items()) or "nothing"


def moment(text: str | None) -> str:
    """`2026-05-04 10:00:00Z` of the API's `2026-05-04T10:00:00.123Z`."""
    return "" if text is None else f"{text[:19].replace('T', ' ')}Z"


def clock(ms: object) -> str:
    """`10:00:00.123` (UTC) of Unix milliseconds; empty for what is none."""
    try:
        return f"{datetime.fromtimestamp(float(str(ms)) / 1000, UTC):%H:%M:%S.%f}"[:-3]
    except (ValueError, OverflowError, OSError):
        return ""


def facts(recording: dict[str, Any]) -> str:
    """What a line has room for."""
    found: list[str] = []
    if recording.get("event_count") is not None:
        found.append(plural(recording["event_count"], "event"))
    if recording.get("duration_ms") is not None:
        found.append(duration(recording["duration_ms"]))
    if events := recording.get("events"):
        found.append(f"{size(events['bytes'])} stored as {size(events['stored_bytes'])}")
        found += [f"{events[kind]} {kind}" for kind in ("duplicate", "rejected") if events[kind]]
    if recording.get("playable") is False:
        found.append("not playable")
    return ", ".join(found)


def rows(recording: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What there is to know, as (label, text)."""
    yield "id", recording["id"]
    yield "name", recording.get("name") or ""
    yield "status", recording["status"]
    if failure := recording.get("failure"):
        yield "failure", f"{failure['code']}: {failure['message']} ({moment(failure['at'])})"
    yield "source", recording.get("source") or ""
    for name in ("session_id", "fingerprint", "continues"):
        if value := recording.get(name):
            yield name.removesuffix("_id"), value
    yield "project", recording.get("project_id") or ""
    yield "started", moment(recording.get("started_at"))
    yield "duration", duration(recording.get("duration_ms"))
    yield "created", moment(recording.get("created_at"))
    if (playable := recording.get("playable")) is not None:
        yield "playable", "yes" if playable else "no"
    if events := recording.get("events"):
        counts = (f"{events[kind]} {kind}" for kind in ("received", "stored", "duplicate", "rejected"))
        yield "events", ", ".join(counts)
        yield "size", f"{size(events['bytes'])}, stored as {size(events['stored_bytes'])}"
    if video := recording.get("video"):
        yield "video", _video(video)
    elif recording.get("has_video"):
        yield "video", "not verified yet"
    if summary := recording.get("summary"):
        yield from _summary(summary)
    for warning in recording.get("warnings") or ():
        yield "warning", f"{warning['code']}: {warning['message']}"
    for kind, count in (recording.get("masked") or {}).items():
        yield "masked", f"{count} {kind}"
    navigations = recording.get("navigations") or []
    for navigation in navigations[:PAGES_SHOWN]:
        yield "page", f"{duration(navigation['timestamp_ms']):>8}  {navigation['url']}"
    if len(navigations) > PAGES_SHOWN:
        yield "page", f"… and {len(navigations) - PAGES_SHOWN} more"


def _video(video: dict[str, Any]) -> str:
    length = duration(video["duration_ms"]) or "of unknown length"
    sound = "with sound" if video["has_audio"] else "without sound"
    return f"{length}, {size(video['bytes'])}, {video['container']} ({', '.join(video['codecs'])}), {sound}"


def _summary(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    counts = (("clicks", "click"), ("inputs", "input"), ("scrolls", "scroll"), ("pages", "page"))
    yield (
        "activity",
        ", ".join(plural(summary[key], what) for key, what in counts)
        + f"; active {duration(summary['active_ms'])}",
    )
    yield "errors", f"{summary['console_errors']} in the console, {summary['network_errors']} in the network"
    if viewport := summary.get("viewport"):
        yield "viewport", f"{viewport['width']} x {viewport['height']}"
    by_type = sorted((summary.get("bytes_by_type") or {}).items(), key=lambda item: -item[1])
    if by_type:
        yield "bytes", ", ".join(f"{kind} {size(count)}" for kind, count in by_type)
