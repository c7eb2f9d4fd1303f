"""Rules of the books that the database itself enforces, in each engine's own words.

A bug in our code, a person with a console or a migration gone wrong meets these, and nothing but
an owner who drops them first gets past. The pattern: write header and postings, then seal; a seal
checks the balance, and nothing sealed changes.
"""

from collections.abc import Iterator
from itertools import groupby

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

CHANGED = (
    "(NEW.debits_posted <> OLD.debits_posted OR NEW.credits_posted <> OLD.credits_posted OR "
    "NEW.debits_pending <> OLD.debits_pending OR NEW.credits_pending <> OLD.credits_pending)"
)

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
    ("journal_entries", "INSERT", "NEW.sealed = 1", "a journal entry is sealed after its postings"),
    ("journal_entries", "UPDATE", "OLD.sealed = 1", "the journal entry is sealed"),
    (
        "journal_entries",
        "UPDATE",
        "NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.fingerprint <> OLD.fingerprint "
        "OR COALESCE(NEW.hold_id, '') <> COALESCE(OLD.hold_id, '')",
        "a journal entry is immutable but for its seal",
    ),
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
        "GROUP BY a.tenant_id, a.asset_code "
        "HAVING sum(p.direction * p.amount_minor) <> 0 OR a.tenant_id <> NEW.tenant_id)",
        "the journal entry does not balance",
    ),
    ("holds", "DELETE", None, "a hold is resolved, never deleted"),
    (
        "holds",
        "INSERT",
        "NEW.state = 'settled' OR (NEW.state = 'released' AND NEW.amount_minor <> 0)",
        "a hold is placed before it is resolved",
    ),
    ("holds", "UPDATE", "OLD.state <> 'placed'", "the hold is already resolved"),
    (
        "holds",
        "UPDATE",
        "NEW.state = 'placed' OR NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id "
        "OR NEW.ledger_account_id <> OLD.ledger_account_id "
        "OR NEW.amount_minor <> OLD.amount_minor OR NEW.placed_version <> OLD.placed_version",
        "a hold is immutable but for its resolution",
    ),
    ("ledger_accounts", "DELETE", None, "a ledger account is never deleted"),
    (
        "ledger_accounts",
        "INSERT",
        "NEW.version <> 0 OR NEW.debits_posted <> 0 OR NEW.credits_posted <> 0 "
        "OR NEW.debits_pending <> 0 OR NEW.credits_pending <> 0",
        "a ledger account is opened empty",
    ),
    (
        "ledger_accounts",
        "UPDATE",
        "NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted",
        "posted counters only grow",
    ),
    (
        "ledger_accounts",
        "UPDATE",
        f"NEW.version <> OLD.version + CASE WHEN {CHANGED} THEN 1 ELSE 0 END",
        "each change of a counter is one version",
    ),
    (
        "ledger_accounts",
        "UPDATE",
        "NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.asset_code <> OLD.asset_code "
        "OR NEW.normal <> OLD.normal "
        "OR COALESCE(NEW.account_id, '') <> COALESCE(OLD.account_id, '')",
        "a ledger account stays whose and what it is",
    ),
)

# SQLite's REPLACE deletes what is in the way, and no delete trigger hears of it unless the
# connection asked for that. So a second row of the same key is refused before it comes to that.
KEYS = {
    "postings": (("entry_id", "line"), ("ledger_account_id", "account_version")),
    "journal_entries": (("id",), ("hold_id",)),
    "holds": (("id",), ("ledger_account_id", "placed_version")),
    "ledger_accounts": (("id",),),
}


def statements(dialect: str) -> list[str]:
    """The DDL for `sqlite` or `postgresql`, to run once after the tables are made."""
    return list(_sqlite() if dialect == "sqlite" else _postgresql())


def _sqlite() -> Iterator[str]:
    for number, (table, when, condition, text) in enumerate(FORBIDDEN):
        yield _sqlite_trigger(f"ledger_rule_{number}", table, when, condition, text)
    # SQLite keeps a float in an integer column if it is not whole; PostgreSQL would not.
    for table, columns in MONEY_COLUMNS.items():
        broken = " OR ".join(f"typeof(NEW.{column}) <> 'integer'" for column in columns)
        for when in ("INSERT", "UPDATE"):
            name = f"{table}_whole_{when.lower()}"
            yield _sqlite_trigger(name, table, when, broken, "money is an integer")
    for table, keys in KEYS.items():
        taken = " OR ".join(_is_taken(table, key) for key in keys)
        yield _sqlite_trigger(f"{table}_once", table, "INSERT", taken, f"{table} has this row")
    replaced = _is_taken("holds", ("ledger_account_id", "resolved_version"))
    yield _sqlite_trigger("holds_kept", "holds", "UPDATE", replaced, "holds has this row")


def _sqlite_trigger(name: str, table: str, when: str, condition: str | None, text: str) -> str:
    only = f"WHEN {condition} " if condition else ""
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} {only}"
        f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
    )


def _is_taken(table: str, key: tuple[str, ...]) -> str:
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - names of ours


def _postgresql() -> Iterator[str]:
    by_trigger = sorted(FORBIDDEN, key=lambda rule: rule[:2])
    for (table, when), rules in groupby(by_trigger, key=lambda rule: rule[:2]):
        refusals = "".join(
            f"IF ({condition or 'true'}) THEN {_raise(text)} END IF; "
            for _, _, condition, text in rules
        )
        returned = "OLD" if when == "DELETE" else "NEW"
        name = f"{table}_{when.lower()}_rules"
        yield _function(name, f"{refusals}RETURN {returned};")
        yield from _always(name, table, f"BEFORE {when} ON {table} FOR EACH ROW")
    yield _function("books_no_truncate", _raise("the books are never truncated"))
    for table in KEYS:
        yield from _always("books_no_truncate", table, f"BEFORE TRUNCATE ON {table}")
    # At the commit: an entry that nobody sealed would wait for late postings for ever.
    unsealed = "(SELECT sealed FROM journal_entries WHERE id = NEW.id) = 0"
    refusal = _raise("a journal entry is sealed when it is committed")
    yield _function("books_sealed", f"IF {unsealed} THEN {refusal} END IF; RETURN NULL;")
    yield from _always(
        "books_sealed",
        "journal_entries",
        "AFTER INSERT ON journal_entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
        kind="CONSTRAINT TRIGGER",
    )


def _raise(text: str) -> str:
    return f"RAISE EXCEPTION '{text}' USING ERRCODE = '23514';"


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _always(name: str, table: str, event: str, *, kind: str = "TRIGGER") -> Iterator[str]:
    """A trigger that fires for a replication role too, which skips ordinary ones."""
    yield f"CREATE {kind} {name} {event} EXECUTE FUNCTION {name}()"
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
