"""Members of objects whose names are data: attributes of elements, properties of style diffs, descriptors of fonts.

Each is a row of its own: its place, its name, and its value by type. A name or value that does not fit is in the row's
rest (`replay.relations.shape`), as if the entry were an object `{"name": …, "value": …}`. A value of which every column is NULL is null.
"""

from typing import Any

from replay.relations.shape import overlay
from replay.relations.values import ALMOST, Unstorable, dump, nearly, plain
from replay.surrogates import storable

Entry = tuple[str | None, str | None, float | None, bool | None, str | None]
_KINDS = frozenset((str, int, float, bool, type(None)))


def entry(name: str, value: Any) -> Entry:
    """The columns name, value, number, flag and rest of one entry."""
    if type(value) is str and type(name) is str:  # nearly all
        return name, value, None, None, None
    rest: dict[str, Any] = {}
    if type(name) is Unstorable:
        rest["name"] = name
        name = storable(name)
    kind = type(value)
    if kind not in _KINDS:
        rest["value"] = value
        if kind in ALMOST:
            (kind, *_) = ALMOST[kind]
            value = nearly(value, kind)
    return (
        name,
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
