"""Each rule of the audit finds what breaks it, in books whose own guards were taken away."""

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from activities.steps import Steps
from domain.saga import ENDED, SagaState
from runtime.database import Database
from storage.audit import RULES, check_books
from storage.tables import Endpoint, Tenant
from storage.types import utc_now
from tests.activities import acts
from tests.conftest import TENANT
from tests.storage.books import open_account, transfer

NOW = "'2026-01-01 00:00:00'"
BREAKING = {
    "postings sum to zero in every asset": (
        "UPDATE postings SET amount_minor = amount_minor + 1 WHERE entry_id = 't1' AND line = 0"
    ),
    "posted counters are the sums of the postings": (
        "UPDATE ledger_accounts SET credits_posted = credits_posted + 1 WHERE id = 'a/USD'"
    ),
    "pending counters are the sums of the placed holds": (
        "UPDATE ledger_accounts SET debits_pending = debits_pending - 1 WHERE id = 'a/USD'"
    ),
    "no account is below its limit": (
        "UPDATE ledger_accounts SET min_available = 999999 WHERE id = 'a/USD'"
    ),
    "every entry is sealed and has two legs": (
        "UPDATE journal_entries SET sealed = 0 WHERE id = 't1'"
    ),
    "every entry balances in each asset, within its tenant": (
        "UPDATE ledger_accounts SET tenant_id = 'ten_other' WHERE id = 'a/USD'"
    ),
    "a hold is of its ledger account's tenant": (
        "UPDATE holds SET tenant_id = 'ten_other' WHERE id = 'running/hold'"
    ),
    "a settled hold paid for one entry, any other hold for none": (
        "UPDATE holds SET state = 'settled' WHERE id = 'running/hold'"
    ),
    "an account's versions are 1 to n, each made by one posting or hold": (
        "UPDATE holds SET placed_version = 99 WHERE id = 'running/hold'"
    ),
    "each posting's balance follows from the one before": (
        "UPDATE postings SET balance_after = balance_after + 1 WHERE entry_id = 't1' AND line = 0"
    ),
    "no hold is left of a saga that ended": (
        "UPDATE saga_runs SET state = 'completed' WHERE workflow_id = 'running'"
    ),
    "a run has ended, or it has not": (
        "UPDATE saga_runs SET ended_at = NULL WHERE workflow_id = 'whole'"
    ),
    "a run's events are numbered 1 to n": (
        "DELETE FROM events WHERE workflow_id = 'whole' AND sequence = 2"
    ),
    "a run's story begins once, with workflow.started": (
        "UPDATE events SET type = 'workflow.step_completed' "
        "WHERE workflow_id = 'whole' AND sequence = 1"
    ),
    "a run's story ends once, with how it ended": (
        "UPDATE events SET type = 'workflow.failed' WHERE workflow_id = 'whole' AND sequence = 2"
    ),
    "each step that was done was told once": "DELETE FROM saga_steps WHERE workflow_id = 'whole'",
    "a numbered event is of a run of its tenant": (
        "UPDATE events SET tenant_id = 'ten_other' WHERE workflow_id = 'whole' AND sequence = 2"
    ),
    "a delivery's state is what its row says": "UPDATE deliveries SET state = 'retrying'",
    "an unsettled delivery's attempts are all recorded": "UPDATE deliveries SET attempts = 1",
    "a delivery succeeded only by an answer of 2xx": (
        f"UPDATE deliveries SET state = 'succeeded', settled_at = {NOW}"
    ),
    "a delivery is of its event's and its endpoint's tenant": (
        "UPDATE deliveries SET tenant_id = 'ten_other'"
    ),
}
UNGUARD = """
    DO $$
    DECLARE guard record;
    BEGIN
      FOR guard IN SELECT oid::regclass AS name FROM pg_class
                   WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', guard.name);
      END LOOP;
      FOR guard IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
                   WHERE contype IN ('c', 'u') AND connamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', guard.name, guard.conname);
      END LOOP;
    END $$
"""


@pytest_asyncio.fixture
async def bank(database: Database) -> Database:
    """A transfer, a saga that completed, one that was undone, one that is under way; a webhook."""

    async def subscribe(session: AsyncSession) -> None:
        session.add(Tenant(id="ten_other", name="other"))
        session.add(Endpoint(id="ep", tenant_id=TENANT, url="https://x.test", event_types=["*"]))

    await database.transact(subscribe)
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    await transfer(database, "t1", "a", "b", 100)
    await acts.run_whole(database, "whole")
    steps = Steps(database)
    await steps.perform(acts.call("undone"), acts.hold)
    await steps.undo(acts.undoing("undone", "pay"), acts.release)
    await steps.undo(acts.undoing("undone"), acts.release)
    await acts.end(database, "undone", SagaState.FAILED)
    await steps.perform(acts.call("running"), acts.hold)
    return database


async def test_a_healthy_database_has_nothing_to_find(bank: Database) -> None:
    assert await violations(bank) == []


@pytest.mark.parametrize("rule", BREAKING)
async def test_the_audit_finds_what_breaks_the_rule(bank: Database, rule: str) -> None:
    await break_books(bank, BREAKING[rule])

    assert any(f"not so: {rule}: " in found for found in await violations(bank))


def test_every_rule_is_broken_by_one_test() -> None:
    assert set(BREAKING) == set(RULES)


async def test_a_finding_says_which_rule_which_row_and_what_it_holds(bank: Database) -> None:
    await break_books(bank, BREAKING["no account is below its limit"])

    [found] = await violations(bank)

    assert found == (
        "not so: no account is below its limit: ten_test a/USD (credits_posted 1000, "
        "debits_posted 110, debits_pending 10, credits_pending 0, min_available 999999)"
    )


async def test_an_audit_of_one_tenant_says_nothing_of_another(bank: Database) -> None:
    await break_books(bank, BREAKING["every entry is sealed and has two legs"])

    async with bank.read() as session:
        assert await check_books(session, "ten_other") == []
        assert len(await check_books(session, TENANT)) == 1


async def test_an_entry_that_was_committed_unsealed_is_found(sqlite: Database) -> None:
    """SQLite cannot refuse it: it has no triggers at the commit."""
    entry = (
        "INSERT INTO journal_entries (id, tenant_id, kind, fingerprint, effective_at, "
        f"recorded_at, sealed) VALUES ('x', '{TENANT}', 'transfer', 'f', {NOW}, {NOW}, 0)"
    )
    await sqlite.transact(lambda session: session.execute(text(entry)))

    [found] = await violations(sqlite)

    assert found.startswith("not so: every entry is sealed and has two legs: ten_test x")


async def test_what_is_undone_after_the_end_is_no_part_of_the_story(bank: Database) -> None:
    await acts.end(bank, "running", SagaState.FAILED)
    [left] = await violations(bank)

    await Steps(bank).undo(acts.undoing("running"), acts.release)

    assert "no hold is left of a saga that ended" in left
    assert await violations(bank) == []


async def test_events_that_are_past_their_retention_are_not_missed(bank: Database) -> None:
    long_ago = utc_now().replace(year=2020)
    await bank.transact(
        lambda session: session.execute(
            text("UPDATE saga_runs SET accepted_at = :then WHERE workflow_id = 'whole'"),
            {"then": long_ago if not bank.is_sqlite else str(long_ago)},
        )
    )
    await bank.transact(
        lambda session: session.execute(
            text("DELETE FROM deliveries WHERE event_id IN (SELECT id FROM events)")
        )
    )
    await bank.transact(
        lambda session: session.execute(
            text("DELETE FROM events WHERE workflow_id = 'whole' AND sequence = 1")
        )
    )

    assert await violations(bank) == []


def test_the_rules_know_every_state_in_which_a_run_has_ended() -> None:
    for state in ENDED:
        assert f"'{state}'" in str(RULES["a run has ended, or it has not"])


async def violations(database: Database) -> list[str]:
    async with database.read() as session:
        return [str(found) for found in await check_books(session)]


async def break_books(database: Database, statement: str) -> None:
    """As an owner of the database can: without triggers, keys to other tables, and checks."""
    engine = create_async_engine(database.url)
    async with engine.begin() as connection:
        if database.is_sqlite:
            for pragma in ("ignore_check_constraints = ON", "foreign_keys = OFF"):
                await connection.execute(text(f"PRAGMA {pragma}"))
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in (await connection.scalars(text(triggers))).all():
                await connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            await connection.execute(text(UNGUARD))
        await connection.execute(text(statement))
    await engine.dispose()
