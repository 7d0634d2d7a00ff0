"""operators: jobs by what they ask for, however many are due"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_job_whose", "job", ["kind", "tenant_id", "id"])
    op.create_index("ix_job_dead", "job", ["id"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index(
        "ix_job_error_code", "job", ["error_code", "id"], postgresql_where=sa.text("error_code IS NOT NULL")
    )


def downgrade() -> None:
    for name in ("ix_job_error_code", "ix_job_dead", "ix_job_whose"):
        op.drop_index(name, "job")
