"""Where a run comes from that is a fork of another."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("forked_from", sa.Text()))
    op.add_column("runs", sa.Column("forked_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("runs", "forked_at")
    op.drop_column("runs", "forked_from")
