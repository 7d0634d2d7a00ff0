"""traces: a job knows the trace that it belongs to"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("job", "job_history"):
        op.add_column(table, sa.Column("trace", sa.String(), nullable=True))


def downgrade() -> None:
    for table in ("job_history", "job"):
        op.drop_column(table, "trace")
