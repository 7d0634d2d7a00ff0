"""how long recordings are kept: a project's retention, holds, erasures and what they erased"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUBJECTS = ("session_id", "fingerprint", "user_id", "project_id", "tenant_id")


def upgrade() -> None:
    op.add_column("project", sa.Column("retention_days", sa.Float(), nullable=True))
    op.add_column("recording", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_recording_user", "recording", ["tenant_id", "user_id", "id"], unique=False)
    op.create_index(
        "ix_recording_deleted",
        "recording",
        ["tenant_id", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index("ix_idempotency_key_recording_id", "idempotency_key", ["recording_id"], unique=False)
    op.create_table(
        "erasure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column(
            "subject",
            sa.Enum(*SUBJECTS, name="subject", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_before", sa.BigInteger(), nullable=True),
        sa.Column("purged_after", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_erasure_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
    )
    op.create_index(
        "ix_erasure_running", "erasure", ["id"], unique=False, postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_table(
        "erased_recording",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("on_hold", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objects", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("purged_before", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("fk_erased_recording_erasure_id")),
        sa.PrimaryKeyConstraint("erasure_id", "recording_id", name=op.f("pk_erased_recording")),
    )


def downgrade() -> None:
    op.drop_table("erased_recording")
    op.drop_table("erasure")
    op.drop_index("ix_idempotency_key_recording_id", "idempotency_key")
    for name in ("ix_recording_deleted", "ix_recording_user"):
        op.drop_index(name, "recording")
    op.drop_column("recording", "held_at")
    op.drop_column("project", "retention_days")
