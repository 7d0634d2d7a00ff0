"""rates: how many attempts ended in each minute, and since when each one's job had been due; conservation by an index that covers it"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_attempt_ended", "attempt", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_table(
        "attempt_tally",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "kind", "outcome", "shard", name=op.f("pk_attempt_tally")),
    )
    # Rows of the current minute are changed by every job that ends: in their page, without a new entry in the index.
    op.execute(
        "ALTER TABLE attempt_tally SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, "
        "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)"
    )
    op.drop_index("ix_recording_created_at", "recording")
    op.create_index(
        "ix_recording_created_at", "recording", ["created_at"], postgresql_include=["status", "deleted_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_recording_created_at", "recording")
    op.create_index("ix_recording_created_at", "recording", ["created_at"])
    op.drop_table("attempt_tally")
    op.drop_index("ix_attempt_ended", "attempt")
    op.drop_column("attempt", "due_at")
