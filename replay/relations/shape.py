"""How one rrweb object becomes the columns of one row, and comes back from them.

A member goes into the column of its name when its value is of that column's type. Some members are *parts*: a list of
objects, or an object, that has rows of its own. Whatever else an object has is its *rest*. What a column can hold only
nearly (a string with NUL, a number with too many digits) it holds nearly, and the rest has it as it is. The rest is
a JSON text in one of three forms, and counts more than the columns:

| rest | the object |
|---|---|
| `{"name": value, …}` | has these members besides |
| `[{"name": value, …}, ["name", …]]` | and lacks these, which otherwise are there by default |
| `[value]` | is no object: it is this value |

There by default are: required columns (null), required parts (empty).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from replay.relations.columns import Column, Kind, columns
from replay.relations.values import ALMOST, Number, Unstorable, dump, jsonb, nearly, parse, plain

R = TypeVar("R", bound=tuple[Any, ...])

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.INTEGER: (int,),
    Kind.DOUBLE: (int, float),
    Kind.TEXT: (str,),
    Kind.FLAG: (bool,),
}
_MISSING: Any = object()
_OBJECTS = {dict}
make = tuple.__new__  # a row of its values, without looking at them


class Part(NamedTuple):
    """A member that has rows of its own: a list of objects, or an object."""

    name: str
    type: type[list[Any]] | type[dict[str, Any]]
    required: bool = False


class Shape(Generic[R]):
    """Objects whose members are the columns of the row class `row`, but for the first `given` ones.

    `members` are other names for the members of some columns. `ignored` members are told elsewhere.
    """

    def __init__(
        self,
        row: type[R],
        parts: Iterable[Part] = (),
        *,
        given: int = 1,
        members: dict[str, str] | None = None,
        ignored: str | None = None,
    ) -> None:
        self.row = row
        self.parts = tuple(parts)
        self.width = len(columns(row))
        self._columns = [
            (at, column._replace(member=(members or {}).get(column.name, column.member)))
            for at, column in enumerate(columns(row))
            if at >= given and column.kind is not Kind.REST
        ]
        self._blank = [None] * (self.width - given + len(self.parts) + 2)
        self._rest = next((at for at, column in enumerate(columns(row)) if column.kind is Kind.REST), -1)
        self._places: dict[tuple[str, type], int] = {}
        self._converted: dict[str, tuple[int, Callable[[Any], Any]]] = {}
        self._looked_at: list[tuple[int, str, type | None, bool]] = []
        for at, column in self._columns:
            self._place(at, column)
        for at, part in enumerate(self.parts, self.width):
            self._places[part.name, part.type] = at
            self._looked_at.append((at, part.name, part.type, part.required))
        if ignored is not None:
            for number in (int, float):
                self._places[ignored, number] = self.width + len(self.parts)
        for at, _, _, required in self._looked_at:
            if required:
                self._blank[at - given] = _MISSING

    def read(self, given: tuple[Any, ...], members: dict[str, Any]) -> list[Any]:
        """The columns, then the parts, each None where it has no rows; the last value is the rest, once more."""
        values = [*given, *self._blank]
        rest: dict[str, Any] | None = None
        places = self._places
        for name, value in members.items():
            at = places.get((name, type(value)))
            if at is not None:
                values[at] = value
            else:
                if name in self._converted:
                    at, convert = self._converted[name]
                    value = convert(value)
                    if value is not _MISSING:
                        values[at] = value
                        continue
                    value = members[name]
                if rest is None:
                    rest = {}
                rest[name] = value
                if type(value) in ALMOST:
                    self._put_nearly(values, name, value)
        missing: list[str] = []
        for at, name, kind, required in self._looked_at:
            value = values[at]
            if value is _MISSING:
                values[at] = None
                if rest is None or name not in rest:
                    missing.append(name)
            elif value:
                if kind is list and {*map(type, value)} != _OBJECTS:
                    values[at] = None
                    rest = {**(rest or {}), name: value}
            elif value is not None and not required:
                values[at] = None
                rest = {**(rest or {}), name: value}
        text = _encode_rest(rest, missing) if rest or missing else None
        values[-1] = text
        if self._rest >= 0:
            values[self._rest] = text
        return values

    def make(self, given: tuple[Any, ...], members: dict[str, Any]) -> R:
        """The row of an object without parts."""
        return make(self.row, self.read(given, members)[: self.width])

    def members(self, row: R) -> dict[str, Any]:
        """The object again, but for the items of its parts; those that are there by default are empty."""
        found: dict[str, Any] = {part.name: part.type() for part in self.parts if part.required}
        for at, column in self._columns:
            value = row[at]
            if value is not None:
                found[column.member] = _restore(column, value)
            elif column.required:
                found.setdefault(column.member)
        if self._rest >= 0:
            overlay(found, row[self._rest])
        return found

    def _put_nearly(self, values: list[Any], name: str, value: Number | Unstorable) -> None:
        for each in ALMOST[type(value)]:
            at = self._places.get((name, each))
            if at is not None and at < self.width:
                values[at] = nearly(value, each)
                return

    def _place(self, at: int, column: Column) -> None:
        for each in _TYPES.get(column.kind, ()):
            self._places[column.member, each] = at
        if column.required:
            self._places[column.member, type(None)] = at
            self._looked_at.append((at, column.member, None, True))
        convert = _converter(column)
        if convert:
            self._converted[column.member] = (at, convert)


def _encode_rest(members: dict[str, Any] | None, missing: list[str]) -> str:
    return dump([members or {}, missing] if missing else members)


def overlay(members: dict[str, Any], rest: str | None) -> None:
    """Put the rest of an object to its other members."""
    if rest is None:
        return
    value = parse(rest.encode())
    more, missing = value if type(value) is list else (value, ())
    members.update(more)
    for name in missing:
        del members[name]


def flat(
    members: dict[str, Any], name: str, types: Mapping[str, tuple[type, ...]]
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """An object's member that is a small object with no members but these, as values; and the object without it.

    Where it is something else, the object stays as it is and the values are None. The first of `types` must be there.
    """
    inner = members.get(name)
    fits = (
        type(inner) is dict
        and next(iter(types)) in inner
        and all(type(value) in types.get(key, ()) for key, value in inner.items())
    )
    if not fits:
        return members, (None,) * len(types)
    others = {key: value for key, value in members.items() if key != name}
    return others, tuple(members[name].get(key) for key in types)


def _converter(column: Column) -> Callable[[Any], Any] | None:
    if column.kind is Kind.NAME:
        names = column.names

        def name(value: Any) -> Any:
            return names.get(value, _MISSING) if type(value) in (int, float) else _MISSING

        return name
    if column.kind is Kind.JSON:

        def text(value: Any) -> Any:
            found = jsonb(value)
            return _MISSING if found is None else found

        return text
    if column.kind in (Kind.INTEGERS, Kind.TEXTS):
        item_type = int if column.kind is Kind.INTEGERS else str

        def items(value: Any) -> Any:
            fits = type(value) is list and all(type(item) is item_type for item in value)
            return value if fits else _MISSING

        return items
    return None


def _restore(column: Column, value: Any) -> Any:
    if column.kind is Kind.NAME:
        return next(number for number, name in column.names.items() if name == value)
    if column.kind is Kind.JSON:
        return parse(value.encode())
    return plain(value) if column.kind is Kind.DOUBLE else value
