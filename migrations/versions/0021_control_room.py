"""the control room: jobs by the text of their error, tenants by name, what each has accepted and what of it is stuck"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_job_error", "job", ["id"], "error IS NOT NULL"),
    ("ix_job_history_error", "job_history", ["id"], "error IS NOT NULL"),
    ("ix_tenant_name", "tenant", ["name", "id"], None),
    ("ix_accepted_tally_tenant_id", "accepted_tally", ["tenant_id", "hour"], None),
    (
        "ix_recording_tenant_failed",
        "recording",
        ["tenant_id", "id"],
        "status = 'failed' AND deleted_at IS NULL",
    ),
    ("ix_job_dead_whose", "job", ["tenant_id", "kind", "id"], "state = 'dead'"),
)


def upgrade() -> None:
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, postgresql_where=where and sa.text(where))


def downgrade() -> None:
    for name, table, _, _ in reversed(INDEXES):
        op.drop_index(name, table)
