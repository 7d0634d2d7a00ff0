"""conservation: how many recordings were accepted in each hour, counted apart from their rows, and hours that do not add up

What was accepted before is counted from what is known of it. Web processes of older code that accept while this runs, and after
it, do not count: if there are any, the hours in which they accepted are told as broken.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accepted_tally",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "tenant_id", "shard", name=op.f("pk_accepted_tally")),
    )
    # Rows of the current hour are changed by every accept: in their page, without a new entry in the index.
    op.execute(
        "ALTER TABLE accepted_tally SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, "
        "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)"
    )
    op.create_table(
        "broken_hour",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("recordings", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_broken_hour")),
    )
    op.create_index("ix_recording_created_at", "recording", ["created_at"], unique=False)
    op.execute(
        "LOCK TABLE recording, tally IN SHARE MODE"
    )  # what is accepted or purged meanwhile counts once
    op.execute(
        """
        INSERT INTO accepted_tally (hour, tenant_id, shard, accepted)
        SELECT hour, tenant_id, 0, sum(accepted) FROM (
            SELECT date_trunc('hour', created_at, 'UTC') AS hour, tenant_id, count(*) AS accepted
            FROM recording GROUP BY 1, 2
            UNION ALL SELECT hour, tenant_id, purged FROM tally
        ) AS known
        GROUP BY hour, tenant_id
        """
    )


def downgrade() -> None:
    op.drop_index("ix_recording_created_at", "recording")
    op.drop_table("broken_hour")
    op.drop_table("accepted_tally")
