"""views of what people ask for, and what a reader of rows may see"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

READABLE = (
    """
    CREATE FUNCTION rows_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT id FROM tenant
        WHERE id = NULLIF(current_setting('tapedeck.tenant_id', true), '')::uuid
          AND rows_key = NULLIF(current_setting('tapedeck.tenant_key', true), '')::uuid;
    END
    """,
    "REVOKE EXECUTE ON FUNCTION rows_tenant() FROM PUBLIC",
    "COMMENT ON FUNCTION rows_tenant() IS "
    "'The tenant that tapedeck.tenant_id names; null unless tapedeck.tenant_key is its rows_key.'",
    """
    CREATE VIEW readable_replay WITH (security_barrier) AS
        SELECT id AS replay_id FROM recording
        WHERE tenant_id = (SELECT rows_tenant()) AND deleted_at IS NULL AND rows_tape_name = tape_name
    """,
    "COMMENT ON VIEW readable_replay IS 'The replays of rows_tenant() whose rows are those of their tape.'",
)

WHERE_AND_WHEN = """
    replay.replay_id, replay.tenant_id, replay.project_id, event.event_no, event.timestamp,
    event.timestamp - replay.first_timestamp AS offset_ms
"""
FROM_EVENT = "FROM readable_replay JOIN replay USING (replay_id) JOIN event USING (replay_id)"
PAGE = """(
    SELECT page.href FROM meta_event page
    WHERE page.replay_id = event.replay_id AND page.event_no < event.event_no
    ORDER BY page.event_no DESC LIMIT 1
)"""
# Of what came beside the events, too: it has no event, and a time of its own.
LOGGED_WHEN = """
    replay.replay_id, replay.tenant_id, replay.project_id, log.event_no, log.position,
    coalesce(event.timestamp, log.timestamp) AS timestamp,
    coalesce(event.timestamp, log.timestamp) - replay.first_timestamp AS offset_ms
"""
FROM_LOG = """
    FROM readable_replay JOIN replay USING (replay_id) JOIN {} log USING (replay_id)
    LEFT JOIN event ON event.replay_id = log.replay_id AND event.event_no = log.event_no
"""

VIEWS = {
    "click": f"""
        SELECT {WHERE_AND_WHEN}, {PAGE} AS url, click.x, click.y, click.id AS node_id, click.pointer_type
        {FROM_EVENT} JOIN mouse_interaction_data click USING (replay_id, event_no)
        WHERE click.type = 'click'
    """,  # our own text
    "input": f"""
        SELECT {WHERE_AND_WHEN}, {PAGE} AS url, input.id AS node_id, input.text, input.is_checked,
            input.user_triggered
        {FROM_EVENT} JOIN input_data input USING (replay_id, event_no)
    """,  # our own text
    "navigation": f"""
        SELECT {WHERE_AND_WHEN}, page.url, page.previous_url, page.width, page.height
        {FROM_EVENT} JOIN (
            SELECT replay_id, event_no, href AS url, width, height,
                lag(href) OVER (PARTITION BY replay_id ORDER BY event_no) AS previous_url
            FROM meta_event
            UNION ALL
            SELECT replay_id, event_no, coalesce(payload ->> 'to', url), NULL, NULL, payload ->> 'from'
            FROM custom_event WHERE tag = 'navigation'
        ) page USING (replay_id, event_no)
        WHERE page.url IS DISTINCT FROM page.previous_url
    """,  # noqa: S608  # our own text
    "console_error": f"""
        SELECT {LOGGED_WHEN}, log.level, (
            SELECT string_agg(each.value #>> '{{}}', ' ' ORDER BY each.place)
            FROM jsonb_array_elements(
                CASE jsonb_typeof(log.args) WHEN 'array' THEN log.args ELSE jsonb_build_array(log.args) END
            ) WITH ORDINALITY each (value, place)
        ) AS message, log.trace
        {FROM_LOG.format("console_log")}
        WHERE log.level = 'error'
    """,  # noqa: S608  # our own text
    "failed_request": f"""
        SELECT {LOGGED_WHEN}, coalesce(log.url, log.name) AS url, log.method,
            coalesce(log.status, log.response_status) AS status,
            coalesce(log.duration, log.end_time - log.start_time) AS duration, log.error
        {FROM_LOG.format("network_request")}
        WHERE coalesce(log.status, log.response_status) >= 400
            OR coalesce(log.status, log.response_status) = 0 OR log.error IS NOT NULL
    """,  # our own text
}
COMMENTS = {
    "click": "A click of a mouse, a pen or a finger.",
    "input": "A new value of an input, as it was masked.",
    "navigation": "A page other than the one before it.",
    "console_error": "What a page wrote to the console as an error.",
    "failed_request": "A request that had no answer (status 0, or an error), or one of 400 and more.",
}
COLUMNS = {
    "event_no": "its place in the tape; null: it came beside the events",
    "position": "among the logs of its event, or beside the events",
    "timestamp": "ms since 1970, with fractions",
    "offset_ms": "ms from the replay's first event",
    "url": "of the page it happened on",
    "x": "CSS px",
    "node_id": "rrweb's: serialized_node.id of an event before it",
    "previous_url": "null for the first page",
    "width": "of the window, in CSS px",
    "message": "the arguments as text, with spaces between",
    "status": "0: no answer",
    "duration": "ms",
}
OTHERWISE = {
    ("navigation", "url"): "the page",
    ("failed_request", "url"): "what was asked for",
    **{(view, "event_no"): "its place in the tape, from 0" for view in ("click", "input", "navigation")},
}


def upgrade() -> None:
    op.add_column(
        "tenant",
        sa.Column("rows_key", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
    )
    for statement in READABLE:
        op.execute(statement)
    for view, query in VIEWS.items():
        op.execute(f"CREATE VIEW {view} WITH (security_invoker) AS {query}")
        op.execute(f"COMMENT ON VIEW {view} IS '{COMMENTS[view]}'")
        there = sa.inspect(op.get_bind()).get_columns(view)
        for name in (column["name"] for column in there):
            if comment := OTHERWISE.get((view, name), COLUMNS.get(name)):
                quoted = comment.replace("'", "''")
                op.execute(f"COMMENT ON COLUMN {view}.{name} IS '{quoted}'")


def downgrade() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    op.execute("DROP VIEW readable_replay CASCADE")  # and the policies of models.reader that ask it
    op.execute("DROP FUNCTION rows_tenant()")
    op.drop_column("tenant", "rows_key")
