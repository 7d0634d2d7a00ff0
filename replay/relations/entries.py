"""Members of objects whose names are data: attributes of elements, properties of style diffs, descriptors of fonts.

Each is a row of its own: its place, its name, and its value by type. A name or value that does not fit is in the row's
rest, as if the entry were an object `{"name": …, "value": …}`. A value of which every column is NULL is null.
"""

from typing import Any

from replay.relations.shape import overlay
from replay.relations.values import dump, plain

Entry = tuple[str | None, str | None, float | None, bool | None, str | None]


def entry(name: str, value: Any) -> Entry:
    """The columns name, value, number, flag and rest of one entry."""
    kind = type(value)
    rest = {}
    if type(name) is not str:
        rest["name"] = name
    if kind not in (str, int, float, bool, type(None)):
        rest["value"] = value
    return (
        None if rest and "name" in rest else name,
        value if kind is str else None,
        value if kind is int or kind is float else None,
        value if kind is bool else None,
        dump(rest) if rest else None,
    )


def put_entry(members: dict[str, Any], entry: Entry) -> None:
    """Put an entry back among the members that it came from."""
    name, value, number, flag, rest = entry
    found: dict[str, Any] = {"name": name, "value": None}
    if value is not None:
        found["value"] = value
    elif number is not None:
        found["value"] = plain(number)
    elif flag is not None:
        found["value"] = flag
    overlay(found, rest)
    members[found["name"]] = found["value"]
