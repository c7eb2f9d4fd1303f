"""The first schema: every table, and the rules of the books, in each database's own words.

The statements stand in `0001_first.{dialect}.sql` and change no more: what tables and rules become
after a release is the next migration's.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BETWEEN_STATEMENTS = "\n--;\n"


def upgrade() -> None:
    connection = op.get_bind()
    script = Path(__file__).with_suffix(f".{connection.dialect.name}.sql").read_text()
    for statement in script.split(BETWEEN_STATEMENTS):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("the books are not dropped by a command")
