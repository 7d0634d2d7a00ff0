"""What the rows of known events are, so that people can query them."""

import json
from typing import Any

import pytest

from replay.relations import TABLES, Row, decompose, log_rows
from replay.relations.columns import Kind

# API.md, part B, but for `replay` (`models.recording`).
API_TABLES = """event, meta_event, full_snapshot_event, serialized_node, serialized_node_child,
serialized_node_attribute, incremental_snapshot_event, mutation_data, text_mutation, attribute_mutation,
attribute_mutation_entry, style_om_value, style_om_value_entry, removed_node_mutation, added_node_mutation, mousemove_data,
mouse_position, mouse_interaction_data, scroll_data, viewport_resize_data, input_data, media_interaction_data,
style_sheet_rule, style_declaration, adopted_style_sheet, canvas_mutation, custom_element, font_data, font_descriptor,
selection_data, selection_range, custom_event, plugin_event, console_log, network_request"""


def rows(event: bytes) -> dict[str, list[dict[str, Any]]]:
    """The rows of an event by their tables, each without `event_no` and what is NULL."""
    return by_table(decompose(7, event))


def by_table(found: Any) -> dict[str, list[dict[str, Any]]]:
    names = {table.row: table.name for table in TABLES}
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        columns = {name: value for name, value in row._asdict().items() if value is not None}
        columns.pop("event_no", None)
        tables.setdefault(names[type(row)], []).append(columns)
    return tables


def increment(data: str) -> bytes:
    return b'{"type":3,"data":%b,"timestamp":1000.5}' % data.encode()


def test_there_is_a_table_for_each_that_the_api_names() -> None:
    assert {table.name for table in TABLES} == set(API_TABLES.replace("\n", " ").split(", "))


def test_every_table_has_a_comment_and_every_place_is_part_of_the_key() -> None:
    for table in TABLES:
        assert table.comment
        assert table.key[:1] == ("event_no",)
        assert all(column.kind is not Kind.NAME or column.names for column in table.columns)


def test_an_event_has_the_name_of_its_type_and_its_milliseconds() -> None:
    tables = rows(b'{"type":0,"data":{},"timestamp":1795290301968.25,"delay":3,"windowId":"tab-1"}')
    assert tables == {
        "event": [
            {"type": "dom_content_loaded", "timestamp": 1795290301968.25, "delay": 3, "window_id": "tab-1"}
        ]
    }


def test_a_type_without_a_name_is_in_the_rest() -> None:
    (event,) = rows(b'{"type":12,"data":{"a":1},"timestamp":5}')["event"]
    assert "type" not in event
    assert json.loads(event["rest"]) == {"type": 12, "data": {"a": 1}}


def test_children_are_in_order_and_nodes_are_told_apart_by_their_place() -> None:
    text = b'{"type":3,"textContent":"%b","id":-1}'
    node = b'{"type":2,"tagName":"p","attributes":{"class":"a","rr_scrollTop":3,"checked":true,"gone":null},"id":2,"childNodes":[%b,%b]}'
    snapshot = b'{"type":2,"data":{"node":{"type":0,"id":1,"childNodes":[%b]},"initialOffset":{"left":0,"top":4.5}},"timestamp":1}'
    tables = rows(snapshot % (node % (text % b"one", text % b"two")))
    assert tables["full_snapshot_event"] == [{"initial_offset_left": 0, "initial_offset_top": 4.5}]
    assert tables["serialized_node"] == [
        {"node_no": 0, "id": 1, "type": "document"},
        {"node_no": 1, "id": 2, "type": "element", "tag_name": "p"},
        {"node_no": 2, "id": -1, "type": "text", "text_content": "one"},
        {"node_no": 3, "id": -1, "type": "text", "text_content": "two"},
    ]
    assert tables["serialized_node_child"] == [
        {"node_no": 0, "position": 0, "child_no": 1},
        {"node_no": 1, "position": 0, "child_no": 2},
        {"node_no": 1, "position": 1, "child_no": 3},
    ]
    assert tables["serialized_node_attribute"] == [
        {"node_no": 1, "position": 0, "name": "class", "value": "a"},
        {"node_no": 1, "position": 1, "name": "rr_scrollTop", "number": 3},
        {"node_no": 1, "position": 2, "name": "checked", "flag": True},
        {"node_no": 1, "position": 3, "name": "gone"},
    ]


def test_a_mutation_is_rows_of_what_changed() -> None:
    tables = rows(
        increment(
            """{"source":0,"texts":[{"id":5,"value":null}],"removes":[{"parentId":1,"id":2,"isShadow":true}],
            "attributes":[{"id":3,"attributes":{"style":{"color":"red","top":["1px","important"],"left":false},"id":"x"}}],
            "adds":[{"parentId":1,"nextId":null,"node":{"type":3,"textContent":"a","id":8}},
                    {"parentId":1,"nextId":8,"node":{"type":3,"textContent":"b","id":9}}]}"""
        )
    )
    assert tables["incremental_snapshot_event"] == [{"source": "mutation"}]
    assert tables["text_mutation"] == [{"position": 0, "id": 5}]
    assert tables["removed_node_mutation"] == [{"position": 0, "parent_id": 1, "id": 2, "is_shadow": True}]
    assert tables["attribute_mutation_entry"] == [
        {"mutation": 0, "position": 0, "name": "style"},
        {"mutation": 0, "position": 1, "name": "id", "value": "x"},
    ]
    assert tables["style_om_value"] == [{"mutation": 0, "entry": 0}]
    assert [{**row, "entry": None} for row in tables["style_om_value_entry"]] == [
        {"mutation": 0, "entry": None, "position": 0, "name": "color", "value": "red"},
        {"mutation": 0, "entry": None, "position": 1, "name": "top", "value": "1px", "priority": "important"},
        {"mutation": 0, "entry": None, "position": 2, "name": "left", "flag": False},
    ]
    assert [(row["node_no"], row.get("next_id")) for row in tables["added_node_mutation"]] == [
        (0, None),
        (1, 8),
    ]
    assert [(row["node_no"], row["text_content"]) for row in tables["serialized_node"]] == [
        (0, "a"),
        (1, "b"),
    ]


def test_interactions_have_the_names_of_their_types() -> None:
    tables = rows(increment('{"source":2,"type":2,"id":4,"x":1.5,"y":2,"pointerType":2}'))
    assert tables["mouse_interaction_data"] == [
        {"type": "click", "id": 4, "x": 1.5, "y": 2, "pointer_type": "touch"}
    ]


def test_changes_of_style_sheets_say_which_sheet_and_where() -> None:
    tables = rows(
        increment(
            '{"source":8,"id":5,"adds":[{"rule":"a{}","index":[1,0]},{"rule":"b{}"}],"removes":[{"index":2}]}'
        )
    )
    assert tables["style_sheet_rule"] == [
        {"sheet": 0, "change": "remove", "position": 0, "id": 5, "rule_index": 2},
        {"sheet": 0, "change": "add", "position": 0, "id": 5, "rule": "a{}", "rule_path": [1, 0]},
        {"sheet": 0, "change": "add", "position": 1, "id": 5, "rule": "b{}"},
    ]


def test_the_rules_that_an_adopted_sheet_brings_are_rows() -> None:
    tables = rows(
        increment(
            '{"source":15,"id":1,"styleIds":[3,4],"styles":[{"styleId":3,"rules":[]},{"styleId":4,"rules":[{"rule":"a{}"}]}]}'
        )
    )
    assert tables["adopted_style_sheet"] == [{"styles": [3, 4], "id": 1, "style_ids": [3, 4]}]
    assert tables["style_sheet_rule"] == [
        {"sheet": 1, "change": "adopt", "position": 0, "id": 1, "style_id": 4, "rule": "a{}"}
    ]


CONSOLE = '{"level":"error","payload":["\\"no\\""],"trace":["a:1:2"]}'


@pytest.mark.parametrize(
    "event",
    [
        increment('{"source":11,' + CONSOLE[1:]),
        b'{"type":6,"data":{"plugin":"rrweb/console@1","payload":%b},"timestamp":1}' % CONSOLE.encode(),
    ],
)
def test_console_logs_of_every_recorder_are_rows_of_one_table(event: bytes) -> None:
    assert rows(event)["console_log"] == [
        {"position": 0, "level": "error", "args": '["\\"no\\""]', "trace": ["a:1:2"]}
    ]


def test_each_recorded_request_is_a_row() -> None:
    event = b'{"type":6,"data":{"plugin":"rrweb/network@1","payload":{"requests":[{"name":"u","status":0},{"status":200}],"isInitial":true}},"timestamp":1}'
    tables = rows(event)
    assert tables["network_request"] == [
        {"position": 0, "name": "u", "status": 0},
        {"position": 1, "status": 200},
    ]
    assert tables["plugin_event"] == [{"plugin": "rrweb/network@1", "payload": '{"isInitial":true}'}]


def test_logs_beside_the_events_belong_to_none() -> None:
    found = list(
        log_rows(
            [b'{"level":"log","args":["Hello"],"timestamp":5,"more":1}'], [b'{"id":"fetch-1","status":200}']
        )
    )
    assert [row.event_no for row in found] == [None, None]
    assert by_table(found) == {
        "console_log": [
            {"position": 0, "level": "log", "args": '["Hello"]', "timestamp": 5, "rest": '{"more":1}'}
        ],
        "network_request": [{"position": 0, "id": "fetch-1", "status": 200}],
    }


def test_what_a_column_holds_only_nearly_is_there_and_exactly_beside_it() -> None:
    tables = rows(b'{"type":4,"data":{"href":"a\\u0000b","width":0.1000000000000000055},"timestamp":1e999}')
    (event,), (meta,) = tables["event"], tables["meta_event"]
    assert event == {"type": "meta", "rest": '{"timestamp":1e999}'}
    assert (meta["href"], meta["width"]) == ("a\ufffdb", 0.1)
    assert meta["rest"] == '{"href":"a\\u0000b","width":0.1000000000000000055}'


def test_missing_and_null_are_told_apart() -> None:
    added: list[Row] = [
        row
        for row in decompose(
            0, increment('{"source":0,"adds":[{"parentId":1},{"parentId":null,"nextId":null}]}')
        )
        if "next_id" in row._fields  # type: ignore[attr-defined]
    ]
    assert [row.rest for row in added] == ['[{},["nextId","node"]]', '[{"parentId":null},["node"]]']  # type: ignore[attr-defined]
