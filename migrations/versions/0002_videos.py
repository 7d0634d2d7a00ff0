"""videos: where they are uploaded and kept, and the jobs that wait for them and verify them"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JOB_KINDS = ("process", "video_deadline", "verify_video", "purge")
OBJECT_KINDS = ("tapes", "sidecars", "videos", "incoming")


def upgrade() -> None:
    for name in ("upload_name", "upload_generation", "video_name"):
        op.add_column("recording", sa.Column(name, sa.String(), nullable=True))
    _allow("job", "jobkind", JOB_KINDS)
    _allow("job_history", "jobkind", JOB_KINDS)
    _allow("object", "objectkind", OBJECT_KINDS)


def downgrade() -> None:
    """Only while no video is awaited: the jobs and objects of videos have no place in the schema before."""
    _allow("object", "objectkind", ("tapes", "sidecars"))
    _allow("job_history", "jobkind", ("process", "purge"))
    _allow("job", "jobkind", ("process", "purge"))
    for name in ("upload_name", "upload_generation", "video_name"):
        op.drop_column("recording", name)


def _allow(table: str, enum: str, values: tuple[str, ...]) -> None:
    constraint = op.f(f"ck_{table}_{enum}")
    op.drop_constraint(constraint, table, type_="check")
    op.create_check_constraint(constraint, table, sa.column("kind").in_(values))
