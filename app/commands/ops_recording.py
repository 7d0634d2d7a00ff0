"""`tapedeck ops recording`: what is held of a recording, and what became of it."""

from collections.abc import Iterator
from typing import Any

from app import describe
from app.commands import terminal
from app.commands.ops_options import OpsKey, connect_ops
from app.commands.options import Json, RecordingId, Url

_NOT_TOLD = {
    "storage_away": "storage is away, which has the reasons",
    "too_large": "too much to read for the reasons",
    "busy": "the web process is too busy to read the reasons",
    "not_kept": "nothing keeps the reasons",
}


def recording(
    recording_id: RecordingId, url: Url = None, api_key: OpsKey = None, as_json: Json = False
) -> None:
    """What is held of a recording, and everything that happened to it: sizes, counts, reasons; not what it shows."""
    with connect_ops(url, api_key) as client:
        read = client.get(f"/recordings/{recording_id}")
    if as_json:
        terminal.write_json(read)
        return
    terminal.print_pairs(_pairs(read))
    terminal.print_table(
        ("object", "kind", "state", "size", "put", "deleted after"), map(_cells, read["objects"])
    )
    print_moments(read)


def print_moments(read: dict[str, Any]) -> None:
    """A recording's life."""
    terminal.print_table(
        ("at", "took", "what", "name", "state", "detail"), map(_moment_cells, read["moments"])
    )
    if read["more"]:
        terminal.print_line("and more, later")


def _pairs(read: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "recording", read["id"]
    yield "name", read["name"] or ""
    yield "tenant", read["tenant_id"]
    yield "project", read["project_id"]
    flags = [
        word
        for word, name in (("open", "is_open"), ("on hold", "on_hold"), ("with video", "has_video"))
        if read[name]
    ]
    yield "status", ", ".join([read["status"], *flags])
    if read["deleted_at"]:
        yield "deleted", describe.moment(read["deleted_at"])
    if failure := read["failure"]:
        yield "failure", f"{failure['code']}: {failure['message']} ({describe.moment(failure['at'])})"
    yield "source", read["source"]
    yield "created", describe.moment(read["created_at"])
    yield "payload", _payload(read["payload"])
    if tape := read["tape"]:
        sizes = f"{describe.size(tape['json_bytes'])}, stored as {describe.size(tape['stored_bytes'])}"
        ratio = f", 1:{tape['ratio']}" if tape["ratio"] else ""
        yield "tape", f"{sizes}{ratio} in {describe.plural(tape['parts'] or 0, 'part')}"
    if account := read["account"]:
        yield "events", ", ".join(f"{count} {name}" for name, count in account.items())
    rejected = read["rejected"]
    if rejected["state"] != "none":
        yield "rejected", _NOT_TOLD.get(rejected["state"]) or describe.counts(rejected["reasons"])
    if read["masked"]:
        yield "masked", describe.counts(read["masked"])
    by_type = sorted(read["bytes_by_type"].items(), key=lambda item: -item[1])
    if by_type:
        yield "bytes", ", ".join(f"{kind} {describe.size(count)}" for kind, count in by_type)
    for warning in read["warnings"]:
        yield "warning", f"{warning['code']}: {warning['message']}"
    if rows := read["rows"]:
        state = "" if rows["current"] else ", of an older tape"
        yield (
            "rows",
            f"{describe.plural(rows['events'], 'event')} at {describe.moment(rows['made_at'])}{state}",
        )


def _payload(payload: dict[str, Any]) -> str:
    if not payload["parts"]:
        return "none"
    until = f", kept until {describe.moment(payload['kept_until'])}" if payload["kept_until"] else ""
    return f"{describe.size(payload['bytes'])} in {describe.plural(payload['parts'], 'part')}{until}"


def _cells(one: dict[str, Any]) -> tuple[object, ...]:
    size = "" if one["bytes"] is None else describe.size(one["bytes"])
    times = describe.moment(one["created_at"]), describe.moment(one["expires_at"])
    return one["name"], one["kind"], one["state"], size, *times


def _moment_cells(one: dict[str, Any]) -> tuple[object, ...]:
    took = describe.duration(one["duration_ms"])
    return describe.moment(one["at"]), took, one["what"], one["name"], one["state"], one["detail"] or ""


COMMANDS = {"recording": recording}
