"""processes: every one of a deck has a row, not only workers; and when web came back"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ROLES = ("web", "worker", "dispatcher")


def upgrade() -> None:
    op.rename_table("worker", "process")
    op.execute("ALTER INDEX pk_worker RENAME TO pk_process")
    role = sa.Enum(*ROLES, name="role", native_enum=False, create_constraint=True, length=32)
    op.add_column("process", sa.Column("role", role, nullable=False, server_default="worker"))
    op.alter_column("process", "role", server_default=None)
    role = sa.Enum(*ROLES, name="role", native_enum=False, create_constraint=True, length=32)
    op.create_table(
        "presence",
        sa.Column("role", role, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("back_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_presence")),
    )


def downgrade() -> None:
    op.drop_table("presence")
    op.execute("DELETE FROM process WHERE role <> 'worker'")
    op.drop_column("process", "role")
    op.execute("ALTER INDEX pk_process RENAME TO pk_worker")
    op.rename_table("process", "worker")
