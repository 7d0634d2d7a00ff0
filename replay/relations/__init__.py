"""Every event a row: an event of a tape becomes rows of typed columns, and these give it back exactly.

`decompose` and `recompose` are inverse: what comes back is the same JSON value, every number with its value and its sign,
members in any order. `TABLES` declares the tables; each row class says in its docstring and comments what it holds.

**Keys.** Whoever loads rows puts `replay_id` in front. `event_no` is the event's place in the tape. Within an event a row
is found by places, too: `position` counts the items of a list from 0 (children, attributes, positions, ranges, commands, …),
`node_no` the nodes in document order. rrweb's node ids are columns and no keys: they come again. Joining is by equal names::

    event ─┬─ meta_event
           ├─ full_snapshot_event ── serialized_node 0
           ├─ incremental_snapshot_event ─┬─ mutation_data ─┬─ text_mutation
           │                              │                 ├─ attribute_mutation ── attribute_mutation_entry.mutation
           │                              │                 │      └─ style_om_value.entry ── style_om_value_entry
           │                              │                 ├─ removed_node_mutation
           │                              │                 └─ added_node_mutation.node_no ── serialized_node
           │                              ├─ mousemove_data ── mouse_position
           │                              ├─ mouse_interaction_data, scroll_data, viewport_resize_data, input_data,
           │                              │  media_interaction_data, style_declaration, custom_element
           │                              ├─ selection_data ── selection_range
           │                              ├─ font_data ── font_descriptor
           │                              ├─ adopted_style_sheet ── style_sheet_rule (sheet: the place in its styles)
           │                              └─ style_sheet_rule, canvas_mutation, console_log (legacy)
           ├─ custom_event (── console_log, network_request: of live sessions, to be found like others)
           └─ plugin_event ── console_log, network_request

    serialized_node ─┬─ serialized_node_attribute (node_no)
                     └─ serialized_node_child (node_no: the parent; child_no: the child)

**Columns.** A member is in the column of its name, in snake case. Numbers that name something (types, sources,
interactions) are the names of `replay.rrweb`, in lower case; a number without a name is NULL. Coordinates and times are doubles,
in rrweb's units. Free values (payloads, arguments, headers) are jsonb. NULL: the member is missing, or null where
the declaration says so (`Required`).

**Rest.** What has no column, or does not fit its column's type, is in the row's `rest`, as `replay.relations.shape` says; of an
increment's data in that of incremental_snapshot_event, of events of a type without tables (`data` that is not `{}`) in that of event.
Where a text or number fits only nearly (NUL and unpaired surrogates; more digits than a double has), the column has it
nearly: U+FFFD, the nearest double.

**Logs** that came beside the events are rows of console_log and network_request whose `event_no` is NULL (`log_rows`, `log_of`).

Depth has no limit, and memory is that of one event: rows come one by one. Of a member that is there twice the last counts.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from msgspec import Raw

from replay.relations.columns import Table, table
from replay.relations.drawing import CanvasMutation, CustomElement, FontData, FontDescriptor
from replay.relations.events import (
    CustomEvent,
    Event,
    FullSnapshotEvent,
    IncrementalSnapshotEvent,
    MetaEvent,
    PluginEvent,
    event_of,
    event_rows,
)
from replay.relations.gathered import Gathered
from replay.relations.interactions import (
    InputData,
    MediaInteractionData,
    MouseInteractionData,
    MousemoveData,
    MousePosition,
    ScrollData,
    SelectionData,
    SelectionRange,
    ViewportResizeData,
)
from replay.relations.live import live_rows
from replay.relations.logs import ConsoleLog, NetworkRequest, log_of, log_rows
from replay.relations.mutations import (
    AddedNodeMutation,
    AttributeMutation,
    AttributeMutationEntry,
    MutationData,
    RemovedNodeMutation,
    StyleOmValue,
    StyleOmValueEntry,
    TextMutation,
)
from replay.relations.nodes import SerializedNode, SerializedNodeAttribute, SerializedNodeChild
from replay.relations.styles import AdoptedStyleSheet, StyleDeclaration, StyleSheetRule
from replay.relations.values import dump, parse

Row = tuple[Any, ...]

TABLES: tuple[Table, ...] = tuple(
    table(row)
    for row in (
        Event,
        MetaEvent,
        FullSnapshotEvent,
        SerializedNode,
        SerializedNodeChild,
        SerializedNodeAttribute,
        IncrementalSnapshotEvent,
        MutationData,
        TextMutation,
        AttributeMutation,
        AttributeMutationEntry,
        StyleOmValue,
        StyleOmValueEntry,
        RemovedNodeMutation,
        AddedNodeMutation,
        MousemoveData,
        MousePosition,
        MouseInteractionData,
        ScrollData,
        ViewportResizeData,
        InputData,
        MediaInteractionData,
        StyleSheetRule,
        StyleDeclaration,
        AdoptedStyleSheet,
        CanvasMutation,
        CustomElement,
        FontData,
        FontDescriptor,
        SelectionData,
        SelectionRange,
        CustomEvent,
        PluginEvent,
        ConsoleLog,
        NetworkRequest,
    )
)

__all__ = ["TABLES", "Row", "decompose", "log_of", "log_rows", "recompose"]


def decompose(event_no: int, event: bytes | Raw, *, live: bool = False) -> Iterator[Row]:
    """The rows of one event of a tape, its first the `Event`; `event` is its JSON text, `event_no` its place.

    `live`: it is of a live session, and its custom events say what happened (`replay.relations.live`).
    """
    members = parse(event)
    beside = list(live_rows(event_no, members)) if live else ()
    return chain(event_rows(event_no, members), beside)


def recompose(rows: Iterable[Row]) -> bytes:
    """The JSON text of the event that has these rows, all of one event, in any order."""
    return dump(event_of(Gathered(rows))).encode()
