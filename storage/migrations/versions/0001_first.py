"""The first schema: every table, and the rules of the books."""

from alembic import op
from sqlmodel import SQLModel

import storage.account_tables
import storage.bridge_tables
import storage.bulk_tables
import storage.endpoint_tables
import storage.key_expiry
import storage.ledger_tables
import storage.lifecycle_tables
import storage.maintenance_tables
import storage.monitoring_tables
import storage.partner_tables
import storage.payment_intent_tables
import storage.payment_tables
import storage.position_tables
import storage.report_tables
import storage.statuses
import storage.tables
import storage.travel_rule_tables  # noqa: F401 - registers the tables
from storage.ledger_rules import statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    SQLModel.metadata.create_all(connection)
    for statement in statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("the books are not dropped by a command")
