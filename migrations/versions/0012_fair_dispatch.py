"""fair dispatch: jobs that wait are out of the way of those whose turn may come, by tenant; queues; worker processes"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KINDS = ("process", "video_deadline", "verify_video", "purge", "mask", "relate", "close")


def upgrade() -> None:
    for table in ("job", "job_history"):
        op.alter_column(table, "ring_at", nullable=True, server_default=None)
    op.execute("UPDATE job SET ring_at = due_at WHERE state = 'due'")
    op.drop_index("ix_job_due", "job")
    op.create_index(
        "ix_job_ready",
        "job",
        ["kind", "priority", "tenant_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'due' AND ring_at IS NULL"),
    )
    op.create_index(
        "ix_job_waits",
        "job",
        ["ring_at"],
        unique=False,
        postgresql_where=sa.text("state = 'due' AND ring_at IS NOT NULL"),
    )
    op.create_index(
        "ix_job_at_work",
        "job",
        ["kind", "tenant_id"],
        unique=False,
        postgresql_where=sa.text("state = 'running' OR (state = 'due' AND ring_at > due_at)"),
    )
    op.create_check_constraint(op.f("ck_job_priority"), "job", "priority IN (0, 10)")
    op.create_table(
        "queue",
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="jobkind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("running_max", sa.Integer(), nullable=True),
        sa.Column("tenant_running_max", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_queue")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("draining_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("draining_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )


def downgrade() -> None:
    op.drop_table("worker")
    op.drop_table("queue")
    op.drop_constraint(op.f("ck_job_priority"), "job")
    for index in ("ix_job_at_work", "ix_job_waits", "ix_job_ready"):
        op.drop_index(index, "job")
    op.create_index(
        "ix_job_due",
        "job",
        ["kind", "priority", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'due'"),
    )
    for table in ("job", "job_history"):
        op.execute(f"UPDATE {table} SET ring_at = due_at WHERE ring_at IS NULL")  # noqa: S608  # constants only
        op.alter_column(table, "ring_at", nullable=False, server_default=sa.text("now()"))
