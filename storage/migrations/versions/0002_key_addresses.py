"""From where each API key was used, so that its owner is told of a new place."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_addresses",
        sa.Column("key_id", sa.String, sa.ForeignKey("api_keys.id"), primary_key=True),
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("key_addresses")
