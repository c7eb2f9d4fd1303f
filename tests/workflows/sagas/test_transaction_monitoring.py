"""Transaction monitoring: every posting judged once by every rule, and told of if it breaks one."""

import asyncio
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.ids import new_uuid
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money
from domain.monitoring import MonitoringRequest, WatchRequest
from storage import ledger
from storage.ledger_tables import Account
from storage.monitoring_tables import JudgedUpTo, Violation
from storage.types import utc_now
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank, until

DETECTED = "compliance.violation.detected"


def of(account_id: str | None, **changed: Any) -> MonitoringRequest:
    return MonitoringRequest(id=new_uuid(), account_uuid=account_id, **changed)


async def pay_out(bank: Bank, account_id: str, times: int) -> None:
    """Small debits, as they come from withdrawals."""

    async def work(session: AsyncSession) -> None:
        for _ in range(times):
            entry = move(
                new_uuid(),
                "withdrawal",
                debit=ledger_account_id(account_id, "USD"),
                credit=bank_account_id(TENANT, "cash", "USD"),
                money=Money(100, "USD"),
            )
            await ledger.post(session, entry, tenant_id=TENANT)

    await bank.database.transact(work)


async def violations_of(bank: Bank, account_id: str) -> int:
    async with bank.database.read() as session:
        query = select(func.count()).where(col(Violation.account_id) == account_id)
        return await session.scalar(query) or 0


async def test_a_large_amount_is_told_of_with_its_case(bank: Bank) -> None:
    account = await bank.account("12000.00 USD")

    ended = await bank.run("transaction_monitoring", of(account))

    assert ended.state == "completed"
    assert ended.result == {"violations": 1, "frozen": 0, "more": False}
    told = ended.told(DETECTED)
    assert (told["rule_id"], told["type"]) == ("threshold_10000_usd", "threshold")
    assert told["entity"] == {"type": "account", "id": account}
    assert (told["current_value"], told["threshold"], told["asset_code"]) == (
        "12000.00",
        "10000.00",
        "USD",
    )
    assert told["action_taken"] == "flagged"
    assert told["case_id"].startswith("case_")
    assert told["transaction_id"].startswith("fund/")
    assert (await bank.row(Account, account)).status == "active"


async def test_no_posting_is_judged_twice_by_the_same_rule(bank: Bank) -> None:
    account = await bank.account("12000.00 USD")
    assert (await bank.run("transaction_monitoring", of(account))).result["violations"] == 1

    again = await bank.run("transaction_monitoring", of(account))
    await bank.fund(account, "13000.00 USD")
    later = await bank.run("transaction_monitoring", of(account))

    assert again.result["violations"] == 0
    assert DETECTED not in again.types
    assert later.told(DETECTED)["current_value"] == "13000.00"
    assert await violations_of(bank, account) == 2
    mark = await bank.row(JudgedUpTo, (f"{account}/USD", "threshold_10000_usd"))
    assert mark.version == 2


async def test_several_runs_at_once_tell_of_it_once(bank: Bank) -> None:
    account = await bank.account("12000.00 USD")

    ended = await asyncio.gather(
        *(bank.run("transaction_monitoring", of(account)) for _ in range(4))
    )

    assert sorted(one.result["violations"] for one in ended) == [0, 0, 0, 1]
    assert sum(len(one.told_all(DETECTED)) for one in ended) == 1


async def test_amounts_just_below_the_threshold_are_a_pattern_over_several_runs(
    bank: Bank,
) -> None:
    account = await bank.account("9500.00 USD")
    await bank.fund(account, "9500.00 USD")
    assert (await bank.run("transaction_monitoring", of(account))).result["violations"] == 0

    await bank.fund(account, "9500.00 USD")
    ended = await bank.run("transaction_monitoring", of(account))

    told = ended.told(DETECTED)
    assert (told["type"], told["severity"]) == ("pattern", "high")
    assert told["current_value"] == "28500.00"


async def test_too_many_payments_are_told_of_by_number(bank: Bank) -> None:
    account = await bank.account("500.00 USD")
    await pay_out(bank, account, 11)

    ended = await bank.run("transaction_monitoring", of(account))

    told = ended.told(DETECTED)
    assert (told["type"], told["current_value"], told["threshold"]) == ("velocity", "11", "10")
    assert told["asset_code"] is None


async def test_money_from_a_country_of_high_risk_freezes_the_account(bank: Bank) -> None:
    sender = await bank.account("50.00 USD", account_metadata={"country": "kp"})
    account = await bank.account()
    transfer = move(
        new_uuid(),
        "transfer",
        debit=ledger_account_id(sender, "USD"),
        credit=ledger_account_id(account, "USD"),
        money=Money(2_500, "USD"),
    )
    await bank.database.transact(lambda session: ledger.post(session, transfer, tenant_id=TENANT))

    ended = await bank.run("transaction_monitoring", of(account, on_violation="freeze"))

    told = ended.told(DETECTED)
    assert (told["type"], told["severity"]) == ("geography", "critical")
    assert told["action_taken"] == "account_frozen"
    assert (await bank.row(Account, account)).status == "frozen"
    child = await bank.outcome(f"freeze_account/{ended.workflow_id.partition('/')[2]}-1-1")
    frozen = child.told("account.frozen")
    assert (frozen["source"], frozen["case_id"]) == ("compliance", told["case_id"])


async def test_an_account_that_cannot_be_frozen_is_flagged(bank: Bank) -> None:
    account = await bank.account("12000.00 USD", status="frozen")

    ended = await bank.run("transaction_monitoring", of(account, on_violation="freeze"))

    assert ended.state == "completed"
    assert ended.result == {"violations": 1, "frozen": 0, "more": False}
    assert ended.told(DETECTED)["action_taken"] == "flagged"


async def test_nobodys_account_is_refused_and_nothing_is_judged(bank: Bank) -> None:
    ended = await bank.run("transaction_monitoring", of(new_uuid()))

    assert ended.code == "account_not_found"
    assert ended.told("workflow.failed")["failed_step"] == "check_scope"


async def test_a_period_says_whose_postings_are_judged(bank: Bank) -> None:
    early = await bank.account("12000.00 USD")
    since = utc_now()
    late = await bank.account("12000.00 USD")

    ended = await bank.run("transaction_monitoring", of(None, moved_since=since))

    assert ended.told(DETECTED)["entity"]["id"] == late
    assert await violations_of(bank, early) == 0


async def test_more_accounts_than_one_round_takes_are_judged_in_several(bank: Bank) -> None:
    since = utc_now()
    for _ in range(23):
        await bank.account("12000.00 USD")

    ended = await bank.run("transaction_monitoring", of(None, moved_since=since))

    assert ended.result == {"violations": 23, "frozen": 0, "more": False}
    assert len(ended.told_all(DETECTED)) == 23
    assert ended.steps["judge_postings-2"] == "done"


async def test_a_watch_has_what_moves_judged_until_it_is_cancelled(bank: Bank) -> None:
    watch = WatchRequest(id=new_uuid(), every_s=0.1)
    handle = await bank.start("transaction_watch", watch)
    await bank.until_begun(handle.id)
    accounts = [await bank.account("12000.00 USD") for _ in range(2)]

    async def all_judged() -> bool:
        return [await violations_of(bank, account) for account in accounts] == [1, 1]

    await until(all_judged)
    await handle.cancel()
    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert "workflow.compensation_executed" not in ended.types
    assert [await violations_of(bank, account) for account in accounts] == [1, 1]
