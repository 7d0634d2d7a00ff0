"""What is ready, in the order in which it came due: whose work has waited for longest"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_job_ready_longest",
        "job",
        ["due_at", "tenant_id"],
        unique=False,
        postgresql_where=sa.text("state = 'due' AND ring_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_job_ready_longest", "job")
