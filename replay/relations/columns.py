"""How tables are declared: a NamedTuple is a row, its fields are the columns, and their annotations say the types.

A table's comment is its docstring; a column's comment, and the name of the member that it holds where that is not the
column's name in camel case, stand beside its type: `Annotated[Number, "ms"]`, `Annotated[Flag, Member("isSVG")]`. Without one, its name says what it holds
(`replay.relations.comments`).
"""

from enum import Enum, IntEnum, auto
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

from replay.relations.comments import COMMENTS


class Kind(Enum):
    """What a column holds."""

    KEY = auto()  # bigint: the place of an event in its tape, of a node in its event, of an item in its list
    INTEGER = auto()  # bigint
    DOUBLE = auto()  # double precision
    TEXT = auto()  # text
    FLAG = auto()  # boolean
    NAME = auto()  # text: the lower-case name of a member of an enum of `replay.rrweb`
    JSON = auto()  # jsonb, given as a JSON text
    INTEGERS = auto()  # bigint[]
    TEXTS = auto()  # text[]
    REST = auto()  # text: JSON that jsonb need not be able to hold


class Member(NamedTuple):
    """The name of the member that a column holds."""

    name: str


class Required(NamedTuple):
    """The member is there by default: NULL in its column means null, not that it is missing."""


Key = Annotated[int, Kind.KEY]
Integer = Annotated[int | None, Kind.INTEGER]
Double = Annotated[float | None, Kind.DOUBLE]
Text = Annotated[str | None, Kind.TEXT]
Flag = Annotated[bool | None, Kind.FLAG]
Json = Annotated[str | None, Kind.JSON]
Integers = Annotated[list[int] | None, Kind.INTEGERS]
Texts = Annotated[list[str] | None, Kind.TEXTS]
Rest = Annotated[str | None, Kind.REST, "JSON of what the columns cannot hold"]


class Column(NamedTuple):
    """One column; `names` are the values of one of kind NAME, by their numbers."""

    name: str
    kind: Kind
    nullable: bool
    member: str
    required: bool
    names: dict[int, str]
    comment: str


class Table(NamedTuple):
    """One table; whoever loads it puts `replay_id` in front of its columns."""

    name: str
    row: type[Any]
    columns: tuple[Column, ...]
    comment: str

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell its rows of one replay apart; NULL is a value like others there."""
        return tuple(
            column.name
            for column in self.columns
            if column.kind is Kind.KEY or (column.kind is Kind.NAME and not column.nullable)
        )


def columns(row: type[Any]) -> tuple[Column, ...]:
    """The columns that a row class declares."""
    hints = get_type_hints(row, include_extras=True)
    return tuple(_column(name, hints[name]) for name in row._fields)


def table(row: type[Any]) -> Table:
    """The table that a row class declares."""
    return Table(_snake_case(row.__name__), row, columns(row), (row.__doc__ or "").strip())


def _column(name: str, hint: Any) -> Column:
    python_type, *notes = get_args(hint)
    enum = next((note for note in notes if isinstance(note, type) and issubclass(note, IntEnum)), None)
    return Column(
        name,
        Kind.NAME if enum else next(note for note in notes if isinstance(note, Kind)),
        nullable=type(None) in get_args(python_type),
        member=next((note.name for note in notes if isinstance(note, Member)), _camel_case(name)),
        required=any(isinstance(note, Required) for note in notes),
        names={int(each): each.name.lower() for each in enum} if enum else {},
        comment=" ".join(note for note in notes if isinstance(note, str)) or COMMENTS.get(name, ""),
    )


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _snake_case(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
