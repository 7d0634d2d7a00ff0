"""Rows for these tests: what Postgres makes of them, and whether two events are the same JSON value."""

import json
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Raw

from replay.relations import TABLES, Row, decompose, recompose
from replay.relations.columns import Column, Kind
from replay.relations.values import Number, dump, parse_slowly

_TABLES = {table.row: table for table in TABLES}

SQL_TYPES = {
    Kind.KEY: "bigint",
    Kind.INTEGER: "bigint",
    Kind.DOUBLE: "double precision",
    Kind.TEXT: "text",
    Kind.FLAG: "boolean",
    Kind.NAME: "text",
    Kind.JSON: "jsonb",
    Kind.INTEGERS: "bigint[]",
    Kind.TEXTS: "text[]",
    Kind.REST: "text",
}
"""What the columns of each kind are in Postgres."""


def exact(text: bytes) -> Any:
    """A JSON value by Python's own reader, its numbers by value and sign, however they are written."""
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(text: str) -> Any:
    try:
        return ("number", text.startswith("-"), Decimal(text))
    except InvalidOperation:
        return ("number", text)


def same(one: bytes, other: bytes) -> bool:
    """Whether these are the same JSON value, however deep."""
    pairs = [(parse_slowly(one), parse_slowly(other))]
    while pairs:
        a, b = pairs.pop()
        if type(a) is not type(b):
            if float(a) != float(b):
                return False
        elif isinstance(a, dict):
            if a.keys() != b.keys():
                return False
            pairs.extend((a[name], b[name]) for name in a)
        elif isinstance(a, list):
            if len(a) != len(b):
                return False
            pairs.extend(zip(a, b, strict=True))
        elif (a.text != b.text) if isinstance(a, Number) else (a != b):
            return False
    return True


def there_and_back(event: bytes | Raw) -> bytes:
    """The event, as the rows that Postgres holds of it give it back."""
    return recompose(through_postgres(decompose(7, event)))


def through_postgres(rows: Iterable[Row]) -> list[Row]:
    """Rows as Postgres gives them back. Fails where it would not take one, and where two have one key."""
    found, keys = [], set()
    for row in rows:
        table = _TABLES[type(row)]
        key = (type(row), *(getattr(row, name) for name in table.key))
        assert key not in keys, key
        keys.add(key)
        assert len(row) == len(table.columns)
        values = [_stored(column, value) for column, value in zip(table.columns, row, strict=True)]
        found.append(type(row)(*values))
    return found[::-1]  # in an order that nobody may count on


def _stored(column: Column, value: Any) -> Any:
    if value is None:
        assert column.nullable, column
        return None
    kind = column.kind
    if kind in (Kind.KEY, Kind.INTEGER):
        assert _is_bigint(value), (column, value)
    elif kind is Kind.DOUBLE:
        assert type(value) in (int, float)
        assert math.isfinite(float(value))
        return float(value)
    elif kind is Kind.FLAG:
        assert type(value) is bool
    elif kind is Kind.NAME:
        assert value in column.names.values()
    elif kind is Kind.JSON:
        return _jsonb(value)
    elif kind is Kind.INTEGERS:
        assert all(map(_is_bigint, value))
    elif kind is Kind.TEXTS:
        assert all(map(_is_text, value))
    else:
        assert _is_text(value), (column, value)
    return value


def _is_bigint(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_text(value: Any) -> bool:
    return type(value) is str and value == value.encode().decode() and "\0" not in value


def _jsonb(text: str) -> str:
    """jsonb keeps every number as a numeric, which has no minus zero, and takes no NUL and no lone surrogate."""
    assert "\\u0000" not in text
    text.encode()
    return dump(json.loads(text, parse_int=_numeric, parse_float=_numeric))


def _numeric(text: str) -> Number:
    return Number(format(Decimal(text) + 0, "f") if Decimal(text) else "0")
