"""every event a row: the tables of rows, the job that writes them, and which projects want them"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS = ("process", "video_deadline", "verify_video", "purge", "mask")
OF_RELATE: dict[str, sa.types.TypeEngine[Any]] = {
    "tenant_id": sa.Uuid(),
    "project_id": sa.Uuid(),
    "first_timestamp": sa.Float(),
    "last_timestamp": sa.Float(),
    "event_count": sa.BigInteger(),
    "related_at": sa.DateTime(timezone=True),
}

# As models.rows made them on the day of this migration.
TABLES = """
CREATE TABLE event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    type TEXT,
    timestamp DOUBLE PRECISION,
    delay DOUBLE PRECISION,
    window_id TEXT,
    rest TEXT,
    CONSTRAINT pk_event PRIMARY KEY (replay_id, event_no),
    CONSTRAINT ck_event_type CHECK (type IN ('dom_content_loaded', 'load', 'full_snapshot', 'incremental_snapshot', 'meta', 'custom', 'plugin', 'asset'))
);
CREATE INDEX ix_event_timestamp ON event (replay_id, timestamp);
COMMENT ON TABLE event IS 'An event of the tape; its data are in the tables of its type.';
COMMENT ON COLUMN event.event_no IS 'its place in the tape, from 0';
COMMENT ON COLUMN event.timestamp IS 'ms since 1970, with fractions';
COMMENT ON COLUMN event.delay IS 'ms; legacy';
COMMENT ON COLUMN event.window_id IS 'the tab, where the client named it';
COMMENT ON COLUMN event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE meta_event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    href TEXT,
    width DOUBLE PRECISION,
    height DOUBLE PRECISION,
    rest TEXT,
    CONSTRAINT pk_meta_event PRIMARY KEY (replay_id, event_no)
);
CREATE INDEX ix_meta_event_href ON meta_event USING hash (href);
COMMENT ON TABLE meta_event IS 'A page: its URL and the size of the window.';
COMMENT ON COLUMN meta_event.width IS 'CSS px';
COMMENT ON COLUMN meta_event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE full_snapshot_event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    initial_offset_left DOUBLE PRECISION,
    initial_offset_top DOUBLE PRECISION,
    rest TEXT,
    CONSTRAINT pk_full_snapshot_event PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE full_snapshot_event IS 'The whole page; its document is serialized_node 0 of the event.';
COMMENT ON COLUMN full_snapshot_event.initial_offset_left IS 'CSS px';
COMMENT ON COLUMN full_snapshot_event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE serialized_node (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    node_no BIGINT NOT NULL,
    id BIGINT,
    type TEXT,
    tag_name TEXT,
    text_content TEXT,
    is_style BOOLEAN,
    is_svg BOOLEAN,
    is_custom BOOLEAN,
    is_shadow_host BOOLEAN,
    is_shadow BOOLEAN,
    need_block BOOLEAN,
    root_id BIGINT,
    compat_mode TEXT,
    name TEXT,
    public_id TEXT,
    system_id TEXT,
    rest TEXT,
    CONSTRAINT pk_serialized_node PRIMARY KEY (replay_id, event_no, node_no),
    CONSTRAINT ck_serialized_node_type CHECK (type IN ('document', 'document_type', 'element', 'text', 'cdata', 'comment'))
);
COMMENT ON TABLE serialized_node IS 'A node of the page, as a full snapshot or a mutation brings it.';
COMMENT ON COLUMN serialized_node.node_no IS 'its place in document order';
COMMENT ON COLUMN serialized_node.id IS 'rrweb''s; no key';
COMMENT ON COLUMN serialized_node.is_shadow IS 'a child of its parent''s shadow root';
COMMENT ON COLUMN serialized_node.root_id IS 'the document it belongs to, where that is a frame''s';
COMMENT ON COLUMN serialized_node.name IS 'of a document type';
COMMENT ON COLUMN serialized_node.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE serialized_node_child (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    node_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    child_no BIGINT NOT NULL,
    CONSTRAINT pk_serialized_node_child PRIMARY KEY (replay_id, event_no, node_no, position)
);
COMMENT ON TABLE serialized_node_child IS 'That a node is a child of another, and which in order.';
COMMENT ON COLUMN serialized_node_child.node_no IS 'the parent';
COMMENT ON COLUMN serialized_node_child.child_no IS 'the child''s node_no';
CREATE TABLE serialized_node_attribute (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    node_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT,
    value TEXT,
    number DOUBLE PRECISION,
    flag BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_serialized_node_attribute PRIMARY KEY (replay_id, event_no, node_no, position)
);
COMMENT ON TABLE serialized_node_attribute IS 'An attribute of an element; recorders add some of their own: rr_scrollTop, _cssText.';
COMMENT ON COLUMN serialized_node_attribute.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE incremental_snapshot_event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    source TEXT,
    rest TEXT,
    CONSTRAINT pk_incremental_snapshot_event PRIMARY KEY (replay_id, event_no),
    CONSTRAINT ck_incremental_snapshot_event_source CHECK (source IN ('mutation', 'mouse_move', 'mouse_interaction', 'scroll', 'viewport_resize', 'input', 'touch_move', 'media_interaction', 'style_sheet_rule', 'canvas_mutation', 'font', 'log', 'drag', 'style_declaration', 'selection', 'adopted_style_sheet', 'custom_element'))
);
COMMENT ON TABLE incremental_snapshot_event IS 'A change; what changed is in the tables of its source.';
COMMENT ON COLUMN incremental_snapshot_event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE mutation_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    is_attach_iframe BOOLEAN,
    CONSTRAINT pk_mutation_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE mutation_data IS 'That an increment is a mutation; what changed is in the tables named after it.';
COMMENT ON COLUMN mutation_data.is_attach_iframe IS 'it brings the document of a frame';
CREATE TABLE text_mutation (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    id BIGINT,
    value TEXT,
    rest TEXT,
    CONSTRAINT pk_text_mutation PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE text_mutation IS 'A text node''s new text.';
COMMENT ON COLUMN text_mutation.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE attribute_mutation (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    id BIGINT,
    rest TEXT,
    CONSTRAINT pk_attribute_mutation PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE attribute_mutation IS 'An element whose attributes changed.';
COMMENT ON COLUMN attribute_mutation.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE attribute_mutation_entry (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    mutation BIGINT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT,
    value TEXT,
    number DOUBLE PRECISION,
    flag BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_attribute_mutation_entry PRIMARY KEY (replay_id, event_no, mutation, position)
);
COMMENT ON TABLE attribute_mutation_entry IS 'A new value of an attribute: null where it was removed, a style_om_value where that has one.';
COMMENT ON COLUMN attribute_mutation_entry.mutation IS 'the attribute_mutation''s position';
COMMENT ON COLUMN attribute_mutation_entry.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE style_om_value (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    mutation BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    CONSTRAINT pk_style_om_value PRIMARY KEY (replay_id, event_no, mutation, entry)
);
COMMENT ON TABLE style_om_value IS 'That an attribute''s new value is a change of some of its style''s properties.';
COMMENT ON COLUMN style_om_value.entry IS 'the attribute_mutation_entry''s position';
CREATE TABLE style_om_value_entry (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    mutation BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT,
    value TEXT,
    priority TEXT,
    flag BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_style_om_value_entry PRIMARY KEY (replay_id, event_no, mutation, entry, position)
);
COMMENT ON TABLE style_om_value_entry IS 'A style''s new property, with or without priority; false: removed.';
COMMENT ON COLUMN style_om_value_entry.name IS 'of the property';
COMMENT ON COLUMN style_om_value_entry.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE removed_node_mutation (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    parent_id BIGINT,
    id BIGINT,
    is_shadow BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_removed_node_mutation PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE removed_node_mutation IS 'A node that went.';
COMMENT ON COLUMN removed_node_mutation.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE added_node_mutation (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    node_no BIGINT,
    parent_id BIGINT,
    previous_id BIGINT,
    next_id BIGINT,
    rest TEXT,
    CONSTRAINT pk_added_node_mutation PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE added_node_mutation IS 'A node that came, or is elsewhere now.';
COMMENT ON COLUMN added_node_mutation.node_no IS 'the serialized_node';
COMMENT ON COLUMN added_node_mutation.previous_id IS 'legacy';
COMMENT ON COLUMN added_node_mutation.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE mousemove_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    pointer_id BIGINT,
    CONSTRAINT pk_mousemove_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE mousemove_data IS 'That an increment (mouse_move, touch_move or drag) tells where the pointer was.';
CREATE TABLE mouse_position (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    x DOUBLE PRECISION,
    y DOUBLE PRECISION,
    id BIGINT,
    time_offset DOUBLE PRECISION,
    rest TEXT,
    CONSTRAINT pk_mouse_position PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE mouse_position IS 'One of those places.';
COMMENT ON COLUMN mouse_position.x IS 'CSS px';
COMMENT ON COLUMN mouse_position.id IS 'the node under the pointer';
COMMENT ON COLUMN mouse_position.time_offset IS 'ms from the event''s timestamp, usually before it';
COMMENT ON COLUMN mouse_position.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE mouse_interaction_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    type TEXT,
    id BIGINT,
    x DOUBLE PRECISION,
    y DOUBLE PRECISION,
    pointer_type TEXT,
    pointer_id BIGINT,
    CONSTRAINT pk_mouse_interaction_data PRIMARY KEY (replay_id, event_no),
    CONSTRAINT ck_mouse_interaction_data_type CHECK (type IN ('mouse_up', 'mouse_down', 'click', 'context_menu', 'dbl_click', 'focus', 'blur', 'touch_start', 'touch_move_departed', 'touch_end', 'touch_cancel')),
    CONSTRAINT ck_mouse_interaction_data_pointer_type CHECK (pointer_type IN ('mouse', 'pen', 'touch'))
);
CREATE INDEX ix_mouse_interaction_data_type ON mouse_interaction_data (type, replay_id);
COMMENT ON TABLE mouse_interaction_data IS 'A click, a touch, a focus and their like.';
COMMENT ON COLUMN mouse_interaction_data.x IS 'CSS px';
CREATE TABLE scroll_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    id BIGINT,
    x DOUBLE PRECISION,
    y DOUBLE PRECISION,
    CONSTRAINT pk_scroll_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE scroll_data IS 'A node was scrolled.';
COMMENT ON COLUMN scroll_data.x IS 'CSS px';
CREATE TABLE viewport_resize_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    width DOUBLE PRECISION,
    height DOUBLE PRECISION,
    CONSTRAINT pk_viewport_resize_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE viewport_resize_data IS 'The window has a new size.';
COMMENT ON COLUMN viewport_resize_data.width IS 'CSS px';
CREATE TABLE input_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    id BIGINT,
    text TEXT,
    is_checked BOOLEAN,
    user_triggered BOOLEAN,
    CONSTRAINT pk_input_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE input_data IS 'An input has a new value.';
CREATE TABLE media_interaction_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    type TEXT,
    id BIGINT,
    "current_time" DOUBLE PRECISION,
    volume DOUBLE PRECISION,
    muted BOOLEAN,
    loop BOOLEAN,
    playback_rate DOUBLE PRECISION,
    CONSTRAINT pk_media_interaction_data PRIMARY KEY (replay_id, event_no),
    CONSTRAINT ck_media_interaction_data_type CHECK (type IN ('play', 'pause', 'seeked', 'volume_change', 'rate_change'))
);
COMMENT ON TABLE media_interaction_data IS 'An audio or video element was played, paused, changed.';
COMMENT ON COLUMN media_interaction_data."current_time" IS 's';
CREATE TABLE style_sheet_rule (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    sheet BIGINT NOT NULL,
    change TEXT NOT NULL,
    position BIGINT NOT NULL,
    id BIGINT,
    style_id BIGINT,
    rule TEXT,
    rule_index BIGINT,
    rule_path BIGINT[],
    rest TEXT,
    CONSTRAINT pk_style_sheet_rule PRIMARY KEY (replay_id, event_no, sheet, change, position),
    CONSTRAINT ck_style_sheet_rule_change CHECK (change IN ('remove', 'add', 'replace', 'replace_sync', 'adopt'))
);
COMMENT ON TABLE style_sheet_rule IS 'A change of a style sheet: a rule that came or went, a new text, a rule of an adopted sheet.';
COMMENT ON COLUMN style_sheet_rule.sheet IS 'of an adopted_style_sheet: the place in its styles; else 0';
COMMENT ON COLUMN style_sheet_rule.id IS 'the node that owns the sheet';
COMMENT ON COLUMN style_sheet_rule.style_id IS 'the sheet, where it was constructed';
COMMENT ON COLUMN style_sheet_rule.rule IS 'CSS; of the whole sheet where it is replaced';
COMMENT ON COLUMN style_sheet_rule.rule_index IS 'where in the sheet';
COMMENT ON COLUMN style_sheet_rule.rule_path IS 'where in the nested rules of the sheet';
COMMENT ON COLUMN style_sheet_rule.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE style_declaration (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    set_property TEXT,
    set_value TEXT,
    set_priority TEXT,
    remove_property TEXT,
    id BIGINT,
    style_id BIGINT,
    rule_path BIGINT[],
    CONSTRAINT pk_style_declaration PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE style_declaration IS 'A change of one property of a rule.';
COMMENT ON COLUMN style_declaration.id IS 'the node that owns the sheet';
COMMENT ON COLUMN style_declaration.style_id IS 'the sheet, where it was constructed';
COMMENT ON COLUMN style_declaration.rule_path IS 'the path of the rule in its sheet';
CREATE TABLE adopted_style_sheet (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    styles BIGINT[],
    id BIGINT,
    style_ids BIGINT[],
    CONSTRAINT pk_adopted_style_sheet PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE adopted_style_sheet IS 'The sheets that a document or shadow root adopts.';
COMMENT ON COLUMN adopted_style_sheet.styles IS 'the sheets whose rules the event brings: style_sheet_rule';
COMMENT ON COLUMN adopted_style_sheet.id IS 'the node that adopts';
COMMENT ON COLUMN adopted_style_sheet.style_ids IS 'all sheets that it adopts';
CREATE TABLE canvas_mutation (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    batched BOOLEAN NOT NULL,
    id BIGINT,
    type TEXT,
    property TEXT,
    args JSONB,
    setter BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_canvas_mutation PRIMARY KEY (replay_id, event_no, position),
    CONSTRAINT ck_canvas_mutation_type CHECK (type IN ('context_2d', 'webgl', 'webgl2'))
);
COMMENT ON TABLE canvas_mutation IS 'A call, or with `setter` an assignment, on a canvas''s context.';
COMMENT ON COLUMN canvas_mutation.batched IS 'it is one of the event''s list of commands; legacy events are one command';
COMMENT ON COLUMN canvas_mutation.id IS 'the canvas''s node';
COMMENT ON COLUMN canvas_mutation.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE custom_element (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    name TEXT,
    CONSTRAINT pk_custom_element PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE custom_element IS 'A custom element was defined.';
CREATE TABLE font_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    family TEXT,
    font_source TEXT,
    buffer BOOLEAN,
    CONSTRAINT pk_font_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE font_data IS 'A font was loaded by script.';
COMMENT ON COLUMN font_data.buffer IS 'font_source holds the font itself';
CREATE TABLE font_descriptor (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT,
    value TEXT,
    number DOUBLE PRECISION,
    flag BOOLEAN,
    rest TEXT,
    CONSTRAINT pk_font_descriptor PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE font_descriptor IS 'A descriptor of that font.';
COMMENT ON COLUMN font_descriptor.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE selection_data (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    CONSTRAINT pk_selection_data PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE selection_data IS 'That an increment tells what is selected.';
CREATE TABLE selection_range (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    start BIGINT,
    start_offset BIGINT,
    "end" BIGINT,
    end_offset BIGINT,
    rest TEXT,
    CONSTRAINT pk_selection_range PRIMARY KEY (replay_id, event_no, position)
);
COMMENT ON TABLE selection_range IS 'One selected range.';
COMMENT ON COLUMN selection_range.start IS 'a node';
COMMENT ON COLUMN selection_range."end" IS 'a node';
COMMENT ON COLUMN selection_range.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE custom_event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    tag TEXT,
    url TEXT,
    payload JSONB,
    rest TEXT,
    CONSTRAINT pk_custom_event PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE custom_event IS 'An event that the page or the client made up.';
COMMENT ON COLUMN custom_event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE plugin_event (
    replay_id UUID NOT NULL,
    event_no BIGINT NOT NULL,
    plugin TEXT,
    payload JSONB,
    rest TEXT,
    CONSTRAINT pk_plugin_event PRIMARY KEY (replay_id, event_no)
);
COMMENT ON TABLE plugin_event IS 'An event of a recorder''s plugin.';
COMMENT ON COLUMN plugin_event.payload IS 'but for what is in console_log and network_request';
COMMENT ON COLUMN plugin_event.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE console_log (
    replay_id UUID NOT NULL,
    event_no BIGINT,
    position BIGINT NOT NULL,
    level TEXT,
    timestamp DOUBLE PRECISION,
    args JSONB,
    trace TEXT[],
    rest TEXT,
    CONSTRAINT uq_console_log_key UNIQUE NULLS NOT DISTINCT (replay_id, event_no, position)
);
CREATE INDEX ix_console_log_errors ON console_log (replay_id) WHERE level = 'error';
COMMENT ON TABLE console_log IS 'What a page wrote to the console.';
COMMENT ON COLUMN console_log.event_no IS 'NULL: it came beside the events';
COMMENT ON COLUMN console_log.position IS 'among the logs of its event, or beside the events';
COMMENT ON COLUMN console_log.timestamp IS 'ms; of a plugin''s log that of its event counts';
COMMENT ON COLUMN console_log.rest IS 'JSON of what the columns cannot hold';
CREATE TABLE network_request (
    replay_id UUID NOT NULL,
    event_no BIGINT,
    position BIGINT NOT NULL,
    id TEXT,
    url TEXT,
    name TEXT,
    method TEXT,
    status BIGINT,
    response_status BIGINT,
    start_time DOUBLE PRECISION,
    end_time DOUBLE PRECISION,
    duration DOUBLE PRECISION,
    timestamp DOUBLE PRECISION,
    time_origin DOUBLE PRECISION,
    entry_type TEXT,
    initiator_type TEXT,
    next_hop_protocol TEXT,
    transfer_size BIGINT,
    encoded_body_size BIGINT,
    decoded_body_size BIGINT,
    is_initial BOOLEAN,
    request_headers JSONB,
    request_body TEXT,
    response_headers JSONB,
    response_body TEXT,
    error TEXT,
    rest TEXT,
    CONSTRAINT uq_network_request_key UNIQUE NULLS NOT DISTINCT (replay_id, event_no, position)
);
CREATE INDEX ix_network_request_status ON network_request (status, replay_id);
COMMENT ON TABLE network_request IS 'A request that a page made.';
COMMENT ON COLUMN network_request.event_no IS 'NULL: it came beside the events';
COMMENT ON COLUMN network_request.position IS 'among the requests of its event, or beside the events';
COMMENT ON COLUMN network_request.id IS 'the client''s';
COMMENT ON COLUMN network_request.name IS 'the URL, where it is a performance entry';
COMMENT ON COLUMN network_request.start_time IS 'ms from the start of the page';
COMMENT ON COLUMN network_request.duration IS 'ms';
COMMENT ON COLUMN network_request.timestamp IS 'ms';
COMMENT ON COLUMN network_request.time_origin IS 'ms';
COMMENT ON COLUMN network_request.transfer_size IS 'bytes';
COMMENT ON COLUMN network_request.encoded_body_size IS 'bytes';
COMMENT ON COLUMN network_request.decoded_body_size IS 'bytes';
COMMENT ON COLUMN network_request.rest IS 'JSON of what the columns cannot hold';
"""


def upgrade() -> None:
    op.add_column(
        "project", sa.Column("relational", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("recording", sa.Column("rows_tape_name", sa.String(), nullable=True))
    _allow((*KINDS, "relate"))
    op.alter_column("replay", "html_hash", nullable=True)
    for name, kind in OF_RELATE.items():
        op.add_column("replay", sa.Column(name, kind, nullable=True))
    op.create_index("ix_replay_tenant_id", "replay", ["tenant_id", "project_id", "first_timestamp"])
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip().startswith("CREATE TABLE"):
            op.drop_table(statement.split()[2])
    op.drop_index("ix_replay_tenant_id", "replay")
    for name in OF_RELATE:
        op.drop_column("replay", name)
    op.execute("DELETE FROM replay WHERE html_hash IS NULL")
    op.alter_column("replay", "html_hash", nullable=False)
    op.execute("DELETE FROM job WHERE kind = 'relate'")
    op.execute("DELETE FROM job_history WHERE kind = 'relate'")
    _allow(KINDS)
    op.drop_column("recording", "rows_tape_name")
    op.drop_column("project", "relational")


def _allow(kinds: tuple[str, ...]) -> None:
    for table in ("job", "job_history"):
        name = op.f(f"ck_{table}_jobkind")
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, sa.column("kind").in_(kinds))
