import pytest

from domain.account import CloseAccountRequest
from domain.ids import new_uuid
from domain.payment import DepositRequest
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from storage.account_tables import Mandate
from storage.ledger_tables import Account
from storage.tables import Transfer
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank


async def test_an_empty_account_is_closed_for_good(bank: Bank) -> None:
    account = await bank.account()

    request = CloseAccountRequest(account_uuid=account)
    ended = await bank.run("close_account", request, reason="moved away")

    told = ended.told("account.closed")
    assert (told["reason"], told["closed_by"]) == ("moved away", "key_test")
    assert (await bank.row(Account, account)).status == "closed"
    deposit = await bank.run("deposit", DepositRequest(account_uuid=account, amount="1.00"))
    assert deposit.code == "account_closed"


async def test_what_is_left_is_swept_in_every_asset(bank: Bank) -> None:
    account, other = await bank.account("10.00 USD"), await bank.account("1.00 USD")
    await bank.fund(account, "7.50 EUR")

    request = CloseAccountRequest(account_uuid=account, sweep_to_account=other)
    ended = await bank.run("close_account", request)

    assert ended.state == "completed"
    assert await bank.balance(other) == ("11.00", "0.00")
    assert await bank.balance(other, "EUR") == ("7.50", "0.00")
    balances = ended.told("account.closed")["final_balances"]
    assert [(one["asset_code"], one["total_balance_minor"]) for one in balances] == [
        ("EUR", 0),
        ("USD", 0),
    ]


async def test_an_account_with_money_and_nowhere_to_sweep_it_is_refused(bank: Bank) -> None:
    account = await bank.account("0.01 USD")

    ended = await bank.run("close_account", CloseAccountRequest(account_uuid=account))

    assert ended.code == "account_has_balance"
    assert ended.failure["details"]["left_minor"] == 1


async def test_money_that_somebody_has_set_aside_stands_in_the_way(bank: Bank) -> None:
    account, other = await bank.account("10.00 USD"), await bank.account()
    pending = slow_transfer(account, other)
    handle = await bank.start("transfer", pending)
    await bank.until_state(Transfer, pending.id, "pending")

    request = CloseAccountRequest(account_uuid=account, sweep_to_account=other)
    ended = await bank.run("close_account", request)
    await handle.cancel()
    await bank.end_of(handle)

    assert ended.code == "account_has_balance"


async def test_an_account_that_money_is_on_its_way_to_is_not_closed(bank: Bank) -> None:
    sender, account = await bank.account("10.00 USD"), await bank.account("5.00 USD")
    pending = slow_transfer(sender, account)
    handle = await bank.start("transfer", pending)
    await bank.until_state(Transfer, pending.id, "pending")

    request = CloseAccountRequest(account_uuid=account, sweep_to_account=sender)
    ended = await bank.run("close_account", request)
    await handle.cancel()
    await bank.end_of(handle)

    assert ended.code == "account_state_conflict"
    assert await bank.balance(account) == ("5.00", "0.00")


@pytest.mark.parametrize(
    ("status", "code"), [("frozen", "account_frozen"), ("closed", "account_closed")]
)
async def test_a_frozen_or_closed_account_is_refused(bank: Bank, status: str, code: str) -> None:
    account = await bank.account(status=status)

    ended = await bank.run("close_account", CloseAccountRequest(account_uuid=account))

    assert ended.code == code


async def test_mandates_are_revoked_with_the_account(bank: Bank) -> None:
    account, mandate = await bank.account(), mandate_id()
    await bank.add(Mandate(id=mandate, tenant_id=TENANT, account_id=account, creditor="Power Co"))

    await bank.run("close_account", CloseAccountRequest(account_uuid=account))

    assert (await bank.row(Mandate, mandate)).state == "revoked"


async def test_a_closing_that_fails_gives_back_money_and_mandates(bank: Bank) -> None:
    account, other, mandate = await bank.account("10.00 USD"), await bank.account(), mandate_id()
    await bank.add(Mandate(id=mandate, tenant_id=TENANT, account_id=account, creditor="Power Co"))

    request = CloseAccountRequest(account_uuid=account, sweep_to_account=other)
    ended = await bank.run("close_account", request, refuse="close_account")

    assert ended.steps == {"set_aside_rest": "undone", "revoke_mandates": "undone"}
    assert await bank.balance(account) == ("10.00", "0.00")
    assert (await bank.row(Account, account)).status == "active"
    assert (await bank.row(Mandate, mandate)).state == "active"


def slow_transfer(source: str, target: str) -> TransferRequest:
    return TransferRequest(
        id=new_uuid(),
        from_account=source,
        to_account=target,
        amount="1.00",
        rail="sandbox",
        sandbox={"rail": Faults(confirm_after_ms=60_000)},
    )


def mandate_id() -> str:
    return f"man_{new_uuid()}"
