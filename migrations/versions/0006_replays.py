"""what else is known of recordings that came as complete sessions"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replay",
        sa.Column("replay_id", sa.Uuid(), nullable=False),
        sa.Column("html_hash", sa.String(), nullable=False),
        sa.Column("browser_name", sa.String(), nullable=True),
        sa.Column("browser_version", sa.String(), nullable=True),
        sa.Column("os_name", sa.String(), nullable=True),
        sa.Column("os_version", sa.String(), nullable=True),
        sa.Column("device_type", sa.String(), nullable=True),
        sa.Column("viewport_width", sa.Integer(), nullable=True),
        sa.Column("viewport_height", sa.Integer(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["replay_id"], ["recording.id"], name=op.f("fk_replay_replay_id")),
        sa.PrimaryKeyConstraint("replay_id", name=op.f("pk_replay")),
    )


def downgrade() -> None:
    op.drop_table("replay")
