"""recordings that take batches: live sessions, and uploads in chunks"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KINDS = ("process", "video_deadline", "verify_video", "purge", "mask", "relate")


def upgrade() -> None:
    op.add_column(
        "recording", sa.Column("is_open", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "uq_recording_open_session",
        "recording",
        ["project_id", "session_id"],
        unique=True,
        postgresql_where=sa.text("is_open AND source = 'stream'"),
    )
    op.execute(sa.schema.CreateSequence(sa.Sequence("batch_number", data_type=sa.BigInteger())))
    op.create_table(
        "batch",
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name=op.f("fk_batch_recording_id")),
        sa.PrimaryKeyConstraint("recording_id", "number", name=op.f("pk_batch")),
    )
    op.create_index("uq_batch_digest", "batch", ["recording_id", "digest"], unique=True)
    _allow((*KINDS, "close"))


def downgrade() -> None:
    _allow(KINDS)
    op.drop_table("batch")
    op.execute(sa.schema.DropSequence(sa.Sequence("batch_number")))
    op.drop_index("uq_recording_open_session", "recording")
    op.drop_column("recording", "is_open")


def _allow(kinds: tuple[str, ...]) -> None:
    for table in ("job", "job_history"):
        name = op.f(f"ck_{table}_jobkind")
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, sa.column("kind").in_(kinds))
