"""Every event a row."""

from collections.abc import Iterable, Iterator
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


def decompose(event_no: int, event: bytes | Raw) -> Iterator[Row]:
    """The rows of one event of a tape, its first the `Event`; `event` is its JSON text, `event_no` its place."""
    return event_rows(event_no, parse(event))


def recompose(rows: Iterable[Row]) -> bytes:
    """The JSON text of the event that has these rows, all of one event, in any order."""
    return dump(event_of(Gathered(rows))).encode()
