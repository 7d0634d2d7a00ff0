"""comments on what had none: the table replay, and columns of the tables of rows and their views"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ABOUT_REPLAY = (
    "A recording that has rows, or came as a complete session: what it was recorded with, and when."
)
REPLAY = {
    "replay_id": "the recording's id",
    "html_hash": "64 lower-case hex digits: the page that was recorded; of complete sessions",
    "browser_name": "as the client says, else its User-Agent",
    "browser_version": "of the browser",
    "os_name": "the operating system: as the client says, else its User-Agent",
    "os_version": "of the operating system",
    "device_type": "desktop, mobile, tablet, …",
    "viewport_width": "CSS px, of the window at first",
    "viewport_height": "CSS px",
    "ip": "the client's address, as its project's policy leaves it",
    "tenant_id": "whose it is; null until there are rows, as all that follows",
    "project_id": "the project of the tenant",
    "first_timestamp": "of its first event: ms since 1970",
    "last_timestamp": "of its last event: ms since 1970",
    "event_count": "rows of event",
    "related_at": "when the rows were made",
}
ROWS = {
    "replay_id": "the recording's id",
    "event_no": "its event: the place in the tape, from 0",
    "position": "its place among its like in the event, from 0",
    "node_no": "the serialized_node",
    "mutation": "the attribute_mutation's position",
    "entry": "the attribute_mutation_entry's position",
    "type": "of which kind it is: see the CHECK for all there are",
    "source": "of which kind the change is: see the CHECK for all there are",
    "change": "of which kind the change is: see the CHECK for all there are",
    "pointer_type": "mouse, pen or touch",
    "id": "rrweb's of the node: serialized_node.id of an event before it",
    "parent_id": "rrweb's of the parent",
    "next_id": "rrweb's of the sibling after it; null: it is the last",
    "pointer_id": "the browser's of the pointer",
    "name": "what it is called",
    "value": "as text",
    "number": "the value, where it is a number",
    "flag": "the value, where it is true or false",
    "priority": "important, or none",
    "y": "CSS px",
    "height": "CSS px",
    "initial_offset_top": "CSS px",
    "href": "the page's URL",
    "url": "where it happened, or what was asked for",
    "tag_name": "of an element",
    "text_content": "of a text, a comment or a CDATA section; masked",
    "is_style": "a text that is CSS",
    "is_svg": "an element of SVG",
    "is_custom": "an element that is a custom one",
    "is_shadow_host": "an element that has a shadow root",
    "is_shadow": "it was a child of its parent's shadow root",
    "need_block": "an element whose content the recorder left out",
    "compat_mode": "of a document: BackCompat in quirks mode",
    "public_id": "of a document type",
    "system_id": "of a document type",
    "text": "what it holds now; masked",
    "is_checked": "of a checkbox or a radio button",
    "user_triggered": "a person did it, no script",
    "volume": "from 0 to 1",
    "muted": "the element is silent",
    "loop": "the element begins anew at its end",
    "playback_rate": "1: as fast as it was recorded",
    "set_property": "the property that was set",
    "set_value": "to what",
    "set_priority": "important, or none",
    "remove_property": "the property that was removed",
    "property": "the name of the method or attribute",
    "args": "the arguments, as the recorder serialized them",
    "setter": "an assignment, no call",
    "family": "of the font",
    "font_source": "where the font is from, or the font itself",
    "start_offset": "characters or children before it, in start",
    "end_offset": "characters or children before it, in end",
    "tag": "what it is called",
    "payload": "what it carries",
    "plugin": "the plugin's name, with its version",
    "level": "log, info, warn, error, debug, …",
    "trace": "the stack, the latest call first",
    "method": "of HTTP",
    "status": "of HTTP; 0: no answer",
    "response_status": "of HTTP, where it is a performance entry",
    "end_time": "ms from the start of the page",
    "entry_type": "of a performance entry: navigation, resource",
    "initiator_type": "what asked: fetch, xmlhttprequest, img, …",
    "next_hop_protocol": "by ALPN: h2, h3, http/1.1",
    "is_initial": "it is from before the recording began",
    "request_headers": "masked",
    "request_body": "masked",
    "response_headers": "masked",
    "response_body": "masked",
    "error": "why there was no answer",
}
TABLES = """
event meta_event full_snapshot_event serialized_node serialized_node_child serialized_node_attribute
incremental_snapshot_event mutation_data text_mutation attribute_mutation attribute_mutation_entry
style_om_value style_om_value_entry removed_node_mutation added_node_mutation mousemove_data mouse_position
mouse_interaction_data scroll_data viewport_resize_data input_data media_interaction_data style_sheet_rule
style_declaration adopted_style_sheet canvas_mutation custom_element font_data font_descriptor selection_data
selection_range custom_event plugin_event console_log network_request
"""
VIEWS = ("click", "input", "navigation", "console_error", "failed_request", "readable_replay")
WHOSE = {
    "tenant_id": "whose it is",
    "project_id": "the project of the tenant",
    "is_live": "it came as a live session",
}


def upgrade() -> None:
    op.execute(f"COMMENT ON TABLE replay IS {_quoted(ABOUT_REPLAY)}")
    for each, comments in _all():
        for column in sa.inspect(op.get_bind()).get_columns(each):
            if column["comment"] is None:
                op.execute(
                    f"COMMENT ON COLUMN {each}.{column['name']} IS {_quoted(comments[column['name']])}"
                )


def downgrade() -> None:
    op.execute("COMMENT ON TABLE replay IS NULL")
    for each, comments in _all():
        for column in sa.inspect(op.get_bind()).get_columns(each):
            if column["comment"] == comments.get(column["name"]):
                op.execute(f"COMMENT ON COLUMN {each}.{column['name']} IS NULL")


def _all() -> list[tuple[str, dict[str, str]]]:
    rows = [(each, ROWS) for each in TABLES.split()]
    views = [(each, ROWS | WHOSE) for each in VIEWS]
    return [("replay", REPLAY), *rows, *views]


def _quoted(comment: str) -> str:
    return "'" + comment.replace("'", "''") + "'"
