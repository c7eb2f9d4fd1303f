"""Rules of the books that the database itself enforces, in each engine's own words.

A bug in our code, a person with a console or a migration gone wrong meets these, and nothing but
an owner who drops them first gets past. The pattern: write header and postings, then seal; a seal
checks the balance, and nothing sealed changes.
"""

MONEY_COLUMNS = {
    "postings": ("amount_minor", "balance_after", "account_version"),
    "holds": ("amount_minor",),
    "ledger_accounts": (
        "debits_posted",
        "credits_posted",
        "debits_pending",
        "credits_pending",
        "version",
    ),
}

# (table, when, condition that is refused, what the refusal says); OLD and NEW as both engines know.
FORBIDDEN = (
    ("postings", "UPDATE", None, "a posting is immutable"),
    ("postings", "DELETE", None, "a posting is immutable"),
    (
        "postings",
        "INSERT",
        "(SELECT sealed FROM journal_entries WHERE id = NEW.entry_id) = 1",
        "the journal entry is sealed",
    ),
    ("journal_entries", "DELETE", None, "a journal entry is immutable"),
    ("journal_entries", "UPDATE", "OLD.sealed = 1", "the journal entry is sealed"),
    (
        "journal_entries",
        "UPDATE",
        "NEW.sealed = 1 AND (SELECT count(*) FROM postings WHERE entry_id = NEW.id) < 2",
        "a journal entry has at least two postings",
    ),
    (
        "journal_entries",
        "UPDATE",
        "NEW.sealed = 1 AND EXISTS (SELECT 1 FROM postings p "
        "JOIN ledger_accounts a ON a.id = p.ledger_account_id WHERE p.entry_id = NEW.id "
        "GROUP BY a.tenant_id, a.asset_code HAVING sum(p.direction * p.amount_minor) <> 0)",
        "the journal entry does not balance",
    ),
    ("holds", "DELETE", None, "a hold is resolved, never deleted"),
    ("holds", "UPDATE", "OLD.state <> 'placed'", "the hold is already resolved"),
    (
        "holds",
        "UPDATE",
        "NEW.amount_minor <> OLD.amount_minor OR NEW.ledger_account_id <> OLD.ledger_account_id",
        "the amount and account of a hold are immutable",
    ),
    ("ledger_accounts", "DELETE", None, "a ledger account is never deleted"),
    (
        "ledger_accounts",
        "UPDATE",
        "NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted "
        "OR NEW.version < OLD.version OR NEW.asset_code <> OLD.asset_code",
        "posted counters only grow",
    ),
)


def statements(dialect: str) -> list[str]:
    """The DDL for `sqlite` or `postgresql`, to run once after the tables are made."""
    return _sqlite() if dialect == "sqlite" else _postgresql()


def _sqlite() -> list[str]:
    found = [
        f"CREATE TRIGGER ledger_rule_{number} BEFORE {when} ON {table} "
        f"{f'WHEN {condition} ' if condition else ''}"
        f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
        for number, (table, when, condition, text) in enumerate(FORBIDDEN)
    ]
    # SQLite keeps a float in an integer column if it is not whole; PostgreSQL would not.
    for table, columns in MONEY_COLUMNS.items():
        broken = " OR ".join(f"typeof(NEW.{column}) <> 'integer'" for column in columns)
        found += [
            f"CREATE TRIGGER {table}_whole_{when.lower()} BEFORE {when} ON {table} "
            f"WHEN {broken} BEGIN SELECT RAISE(ABORT, 'money is an integer'); END"
            for when in ("INSERT", "UPDATE")
        ]
    return found


def _postgresql() -> list[str]:
    found = []
    for number, (table, when, condition, text) in enumerate(FORBIDDEN):
        returned = "OLD" if when == "DELETE" else "NEW"
        check = f"IF {condition} THEN" if condition else "IF true THEN"
        found.append(
            f"CREATE FUNCTION ledger_rule_{number}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{check} RAISE EXCEPTION '{text}' USING ERRCODE = '23514'; END IF; "
            f"RETURN {returned}; END $$"
        )
        found.append(
            f"CREATE TRIGGER ledger_rule_{number} BEFORE {when} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION ledger_rule_{number}()"
        )
    found.append(
        "CREATE FUNCTION ledger_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the books are never truncated' USING ERRCODE = '23514'; END $$"
    )
    found += [
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_no_truncate()"
        for table in ("postings", "journal_entries", "holds", "ledger_accounts")
    ]
    return found
