"""`sagapost doctor` tells what is wrong with books and sagas, and what to do about it."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cli.checkup import check_up
from cli.findings import Finding
from domain.ledger import HoldRequest, bank_account_id, ledger_account_id, move
from domain.money import Money
from domain.saga import SagaState
from runtime.database import Database
from storage import ledger
from storage.ledger_tables import Account
from storage.tables import SagaRun
from storage.types import utc_now
from tests.conftest import TENANT

HOUR_AGO = utc_now() - timedelta(hours=1)
NEEDED = {
    "step": "",
    "code": "terminated",
    "text": "an operator terminated the run",
    "details": {"manual_intervention_required": True, "held": []},
}


async def test_a_healthy_bank_has_one_finding_and_it_is_well(database: Database) -> None:
    assert [finding.ok for finding in await check_up(database.url)] == [True]


async def test_a_run_that_was_ended_from_outside_is_listed_with_what_it_holds(
    database: Database,
) -> None:
    await database.transact(held_by_an_ended_run)

    [needed] = await problems(database)

    assert needed.subject == "sagas"
    assert "transfer/1 was ended from outside and holds 50.00 USD" in needed.text
    assert "`sagapost sagas undo transfer/1`" in needed.text


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (SagaState.STUCK, "transfer/1 is stuck: decide in the Temporal UI"),
        (SagaState.ACCEPTED, "1 accepted and not begun for a minute: is a worker running?"),
    ],
)
async def test_runs_that_do_not_move_are_listed(
    database: Database, state: SagaState, complaint: str
) -> None:
    await database.transact(lambda session: add_run(session, state))

    assert complaint in [finding.text[: len(complaint)] for finding in await problems(database)]


async def test_books_that_are_not_whole_are_told_rule_by_rule(database: Database) -> None:
    await database.transact(lambda session: add_run(session, SagaState.COMPLETED))

    found = [finding.text for finding in await problems(database) if finding.subject == "books"]

    assert [text for text in found if text.startswith("not so: a run has ended, or it has not")]


async def test_a_database_without_tables_is_told_to_be_migrated(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    empty = tmp_path_factory.mktemp("empty") / "empty.db"

    [finding] = await check_up(f"sqlite+aiosqlite:///{empty}")

    assert not finding.ok
    assert "`sagapost migrate`" in finding.text


async def problems(database: Database) -> list[Finding]:
    return [finding for finding in await check_up(database.url) if not finding.ok]


async def held_by_an_ended_run(session: AsyncSession) -> None:
    await add_run(session, SagaState.FAILED)
    session.add(Account(id="a", tenant_id=TENANT, user_uuid="u", name="n"))
    await session.flush()
    money, own = Money(10_000, "USD"), ledger_account_id("a", "USD")
    await ledger.open_ledger_account(session, own, tenant_id=TENANT, account_id="a")
    cash = bank_account_id(TENANT, "cash", "USD")
    entry = move("first", "deposit", debit=cash, credit=own, money=money)
    await ledger.post(session, entry, tenant_id=TENANT)
    hold = HoldRequest("1/hold", own, Money(5_000, "USD"), TENANT, "transfer/1")
    await ledger.place_hold(session, hold)


async def add_run(session: AsyncSession, state: SagaState) -> None:
    """A run from before the audit looks at stories: it has none."""
    begun = state is not SagaState.ACCEPTED
    session.add(
        SagaRun(
            workflow_id="transfer/1",
            tenant_id=TENANT,
            type="transfer",
            state=state,
            failure=NEEDED if state is SagaState.FAILED else None,
            initiated_by="key",
            accepted_at=HOUR_AGO - timedelta(days=30),
            started_at=HOUR_AGO if begun else None,
            ended_at=HOUR_AGO if state is SagaState.FAILED else None,
        )
    )
    await session.flush()
