"""masking: a project's policy and rules, and requests to mask what was kept before"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JOB_KINDS = ("process", "video_deadline", "verify_video", "purge")


def upgrade() -> None:
    op.add_column(
        "project",
        sa.Column(
            "masking", _enum("masking", "strict", "default", "off"), server_default="default", nullable=False
        ),
    )
    op.add_column("project", sa.Column("mask_rules", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column(
        "project",
        sa.Column(
            "ip_addresses",
            _enum("ipaddresses", "full", "truncated", "off"),
            server_default="full",
            nullable=False,
        ),
    )
    op.create_table(
        "mask_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name=op.f("fk_mask_request_recording_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mask_request")),
    )
    op.create_index(op.f("ix_mask_request_recording_id"), "mask_request", ["recording_id"], unique=False)
    for table in ("job", "job_history"):
        _allow(table, (*JOB_KINDS, "mask"))


def downgrade() -> None:
    """Only while nothing is being masked after the fact: such jobs have no place in the schema before."""
    for table in ("job", "job_history"):
        _allow(table, JOB_KINDS)
    op.drop_table("mask_request")
    for name in ("ip_addresses", "mask_rules", "masking"):
        op.drop_column("project", name)


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _allow(table: str, kinds: tuple[str, ...]) -> None:
    constraint = op.f(f"ck_{table}_jobkind")
    op.drop_constraint(constraint, table, type_="check")
    op.create_check_constraint(constraint, table, sa.column("kind").in_(kinds))
