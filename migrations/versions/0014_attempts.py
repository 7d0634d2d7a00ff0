"""attempts at jobs, and every change of a recording's status"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OUTCOMES = ("done", "continued", "cancelled", "bad_input", "away", "fault", "loss", "stopped")
STATUSES = ("uploading", "processing", "ready", "failed")
WHYS = ("accepted", "claimed", "closed", "confirmed", "done", "failed", "retried")
FAILED = sa.text("fingerprint IS NOT NULL")


def upgrade() -> None:
    for table in ("job", "job_history"):
        op.add_column(table, sa.Column("claims", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "attempt",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", _enum("outcome", OUTCOMES), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("traceback", sa.String(), nullable=True),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_recording_id", "attempt", ["recording_id"])
    op.create_index("ix_attempt_fingerprint", "attempt", ["fingerprint", "ended_at"], postgresql_where=FAILED)
    op.create_index("ix_attempt_failed", "attempt", ["ended_at"], postgresql_where=FAILED)
    op.create_table(
        "status_change",
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", _enum("status", STATUSES), nullable=False),
        sa.Column("why", _enum("why", WHYS), nullable=False),
        sa.PrimaryKeyConstraint("recording_id", "at", name=op.f("pk_status_change")),
    )


def downgrade() -> None:
    op.drop_table("status_change")
    op.drop_table("attempt")
    for table in ("job", "job_history"):
        op.drop_column(table, "claims")


def _enum(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)
