"""what the custom events of live sessions say is in the views, too"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

READABLE = """
    CREATE OR REPLACE VIEW readable_replay WITH (security_barrier) AS
        SELECT id AS replay_id, source = 'stream' AS is_live FROM recording
        WHERE tenant_id = (SELECT rows_tenant()) AND deleted_at IS NULL AND rows_tape_name = tape_name
"""
WHERE_AND_WHEN = """
    replay.replay_id, replay.tenant_id, replay.project_id, event.event_no, event.timestamp,
    event.timestamp - replay.first_timestamp AS offset_ms
"""
FROM_EVENT = "FROM readable_replay JOIN replay USING (replay_id) JOIN event USING (replay_id)"
FROM_LIVE = f"{FROM_EVENT} JOIN custom_event live USING (replay_id, event_no) WHERE is_live AND live.tag ="
PAGE = """(
    SELECT page.href FROM meta_event page
    WHERE page.replay_id = event.replay_id AND page.event_no < event.event_no
    ORDER BY page.event_no DESC LIMIT 1
)"""
NAVIGATION = """
    SELECT {}, page.url, page.previous_url, page.width, page.height
    {} JOIN (
        SELECT replay_id, event_no, href AS url, width, height,
            lag(href) OVER (PARTITION BY replay_id ORDER BY event_no) AS previous_url
        FROM meta_event
        UNION ALL
        SELECT replay_id, event_no, {}, NULL, NULL, payload ->> 'from'
        FROM custom_event WHERE tag = 'navigation'
    ) page USING (replay_id, event_no)
    WHERE page.url IS DISTINCT FROM page.previous_url
"""
# A path as the page that the event names sees it.
DESTINATION = """
    CASE WHEN payload ->> 'to' ~ '^/([^/]|$)'
        THEN coalesce(substring(url FROM '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+'), '') || (payload ->> 'to')
        ELSE coalesce(payload ->> 'to', payload ->> 'url', payload ->> 'href', url)
    END
"""


def _number(*names: str) -> str:
    """The first of these members of a payload that is a number; no jsonb of ours has one that a double cannot hold."""
    cases = [
        f"WHEN jsonb_typeof(live.payload -> '{name}') = 'number' THEN (live.payload ->> '{name}')::float8"
        for name in names
    ]
    return f"CASE {' '.join(cases)} END"


BEFORE = {
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
    "navigation": NAVIGATION.format(WHERE_AND_WHEN, FROM_EVENT, "coalesce(payload ->> 'to', url)"),
}
NOW = {
    "click": f"""
        {BEFORE["click"]} UNION ALL
        SELECT {WHERE_AND_WHEN}, coalesce(live.url, {PAGE}), {_number("x", "clientX", "pageX")},
            {_number("y", "clientY", "pageY")}, NULL, NULL
        {FROM_LIVE} 'mouse_click'
    """,  # our own text
    "input": f"""
        {BEFORE["input"]} UNION ALL
        SELECT {WHERE_AND_WHEN}, coalesce(live.url, {PAGE}), NULL,
            CASE jsonb_typeof(live.payload)
                WHEN 'object' THEN coalesce(live.payload ->> 'value', live.payload ->> 'text')
                ELSE live.payload #>> '{{}}'
            END,
            CASE WHEN jsonb_typeof(live.payload -> 'checked') = 'boolean'
                THEN (live.payload ->> 'checked')::boolean
            END, NULL
        {FROM_LIVE} 'input'
    """,  # our own text
    "navigation": NAVIGATION.format(WHERE_AND_WHEN, FROM_EVENT, DESTINATION),
}


def upgrade() -> None:
    op.execute(READABLE)
    _replace(NOW)


def downgrade() -> None:
    _replace(
        BEFORE
    )  # a view does not lose a column while others read it: `is_live` stays, and nobody asks for it


def _replace(views: dict[str, str]) -> None:
    for view, query in views.items():
        op.execute(f"CREATE OR REPLACE VIEW {view} WITH (security_invoker) AS {query}")
