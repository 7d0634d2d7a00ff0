"""Changes of style sheets through the CSS object model: sources 8, 13 and 15."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Integer, Integers, Key, Member, Rest, Text
from replay.relations.gathered import Gathered
from replay.relations.increment import Rows
from replay.relations.shape import Part, Shape, flat, make


class RuleChange(IntEnum):
    """What a row of style_sheet_rule tells, in the order of an event's rows."""

    REMOVE = 0
    ADD = 1
    REPLACE = 2  # the whole sheet
    REPLACE_SYNC = 3
    ADOPT = 4  # a rule of a sheet that an adopted_style_sheet brings


class StyleSheetRule(NamedTuple):
    """A change of a style sheet: a rule that came or went, a new text, a rule of an adopted sheet."""

    event_no: Key
    sheet: Annotated[Key, "of an adopted_style_sheet: the place in its styles; else 0"]
    change: Annotated[str, RuleChange]
    position: Key
    id: Annotated[Integer, "the node that owns the sheet"]
    style_id: Annotated[Integer, "the sheet, where it was constructed"]
    rule: Annotated[Text, "CSS; of the whole sheet where it is replaced"]
    rule_index: Annotated[Integer, Member("index"), "where in the sheet"]
    rule_path: Annotated[Integers, Member("index"), "where in the nested rules of the sheet"]
    rest: Rest


class StyleDeclaration(NamedTuple):
    """A change of one property of a rule."""

    event_no: Key
    set_property: Text
    set_value: Text
    set_priority: Text
    remove_property: Text
    id: Annotated[Integer, "the node that owns the sheet"]
    style_id: Annotated[Integer, "the sheet, where it was constructed"]
    rule_path: Annotated[Integers, Member("index"), "the path of the rule in its sheet"]


class AdoptedStyleSheet(NamedTuple):
    """The sheets that a document or shadow root adopts."""

    event_no: Key
    styles: Annotated[Integers, "the sheets whose rules the event brings: style_sheet_rule"]
    id: Annotated[Integer, "the node that adopts"]
    style_ids: Annotated[Integers, "all sheets that it adopts"]


class _Rule(NamedTuple):
    rule: Text
    rule_index: Annotated[Integer, Member("index")]
    rule_path: Annotated[Integers, Member("index")]
    rest: Rest


class _Sheet(NamedTuple):
    id: Integer
    style_id: Integer
    replace: Text
    replace_sync: Text


class _Nothing(NamedTuple):
    event_no: Key


_RULE = Shape(_Rule, given=0)
_SHEET = Shape(_Sheet, [Part("removes", list), Part("adds", list)], given=0, ignored="source")
NOTHING = Shape(_Nothing, ignored="source")  # all members but `source` are rest
_DECLARATION = Shape(StyleDeclaration, given=5, ignored="source")
_ADOPTED = Shape(AdoptedStyleSheet, given=2, ignored="source")
_SET = {"property": (str,), "value": (str,), "priority": (str,)}
_REMOVE = {"property": (str,)}


class StyleSheetRules:
    """Source 8: each change is a row, and repeats what sheet it is of."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        values = _SHEET.read((), data)
        id_, style_id, replace, replace_sync, removes, adds = values[:6]
        if not removes and not adds and replace is None and replace_sync is None:
            values = NOTHING.read((event_no,), data)
        for change, rules in ((RuleChange.REMOVE, removes), (RuleChange.ADD, adds)):
            for position, rule in enumerate(rules or ()):
                yield _rule(event_no, 0, change, position, id_, style_id, rule)
        for change, text in ((RuleChange.REPLACE, replace), (RuleChange.REPLACE_SYNC, replace_sync)):
            if text is not None:
                yield _rule(event_no, 0, change, 0, id_, style_id, {"rule": text})
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for row in found.sorted(StyleSheetRule):
            data |= _sheet(row)
            if row.change == _name(RuleChange.REMOVE):
                data.setdefault("removes", []).append(_members(row))
            elif row.change == _name(RuleChange.ADD):
                data.setdefault("adds", []).append(_members(row))
            else:
                data["replace" if row.change == _name(RuleChange.REPLACE) else "replaceSync"] = row.rule
        return data


class StyleDeclarations:
    """Source 13."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        data, new = flat(data, "set", _SET)
        data, gone = flat(data, "remove", _REMOVE)
        values = _DECLARATION.read((event_no, *new, *gone), data)
        yield make(StyleDeclaration, values[: _DECLARATION.width])
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        row = found.one(StyleDeclaration)
        data = _DECLARATION.members(row)
        if row.set_property is not None:
            new = {"property": row.set_property, "value": row.set_value, "priority": row.set_priority}
            data["set"] = {name: value for name, value in new.items() if value is not None}
        if row.remove_property is not None:
            data["remove"] = {"property": row.remove_property}
        return data


class AdoptedStyleSheets:
    """Source 15: the rules that it brings are rows of style_sheet_rule."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        sheets = data.get("styles")
        styles = None
        if type(sheets) is list and all(map(_is_sheet, sheets)):
            data = {name: value for name, value in data.items() if name != "styles"}
            styles = [sheet["styleId"] for sheet in sheets]
        values = _ADOPTED.read((event_no, styles), data)
        yield make(AdoptedStyleSheet, values[: _ADOPTED.width])
        for at, sheet in enumerate(sheets if styles is not None and sheets else ()):
            for position, rule in enumerate(sheet["rules"]):
                yield _rule(event_no, at, RuleChange.ADOPT, position, values[2], sheet["styleId"], rule)
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        row = found.one(AdoptedStyleSheet)
        data = _ADOPTED.members(row)
        if row.styles is not None:
            sheets: list[dict[str, Any]] = [{"styleId": style_id, "rules": []} for style_id in row.styles]
            for rule in found.sorted(StyleSheetRule):
                sheets[rule.sheet]["rules"].append(_members(rule))
            data["styles"] = sheets
        return data


def _is_sheet(sheet: Any) -> bool:
    return (
        type(sheet) is dict
        and sheet.keys() == {"styleId", "rules"}
        and type(sheet["styleId"]) is int
        and type(sheet["rules"]) is list
        and all(type(rule) is dict for rule in sheet["rules"])
    )


def _rule(
    event_no: int,
    sheet: int,
    change: RuleChange,
    position: int,
    id_: int,
    style_id: int,
    rule: dict[str, Any],
) -> StyleSheetRule:
    columns = _RULE.read((), rule)[: _RULE.width]
    return make(StyleSheetRule, (event_no, sheet, _name(change), position, id_, style_id, *columns))


def _members(row: StyleSheetRule) -> dict[str, Any]:
    return _RULE.members(make(_Rule, row[-_RULE.width :]))


def _sheet(row: StyleSheetRule) -> Iterator[tuple[str, int]]:
    if row.id is not None:
        yield "id", row.id
    if row.style_id is not None:
        yield "styleId", row.style_id


def _name(change: RuleChange) -> str:
    return change.name.lower()
