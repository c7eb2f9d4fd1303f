"""Deposits and withdrawals."""

import pytest

from domain.account_limits import AssetLimits, limits_to_row
from domain.ids import new_uuid
from domain.payment import DepositRequest, WithdrawalRequest
from domain.sandbox import Faults
from storage.ledger_tables import Account
from storage.payment_tables import Payment
from tests.workflows.sagas.bank import Bank


async def test_a_deposit_is_credited_once_the_rail_has_it(bank: Bank) -> None:
    account = await bank.account("1.00 USD")

    request = DepositRequest(id=new_uuid(), account_uuid=account, amount="250.00")
    ended = await bank.run("deposit", request)

    assert await bank.balance(account) == ("251.00", "0.00")
    told = ended.told("account.balance_updated")
    assert (told["change_reason"], told["related_transaction"]) == ("deposit", request.id)
    row = await bank.row(Payment, request.id)
    assert (row.status, row.type, row.rail_reference) == (
        "completed",
        "deposit",
        ended.result["rail_reference"],
    )


async def test_a_withdrawal_is_held_then_debited(bank: Bank) -> None:
    account = await bank.account("100.00 USD")

    request = WithdrawalRequest(account_uuid=account, amount="25.00")
    ended = await bank.run("withdrawal", request)

    assert await bank.balance(account) == ("75.00", "0.00")
    told = ended.told_all("account.balance_updated")
    assert [one["change_reason"] for one in told] == ["hold", "withdrawal"]


async def test_a_withdrawal_the_rail_refuses_is_given_back(bank: Bank) -> None:
    """Flaw of the product: a bank withdrawal that debits with no re-credit."""
    account = await bank.account("100.00 USD")

    sandbox = {"rail": Faults(refuse="rail_unavailable")}
    request = WithdrawalRequest(
        id=new_uuid(), account_uuid=account, amount="25.00", sandbox=sandbox
    )
    ended = await bank.run("withdrawal", request)

    assert ended.code == "rail_unavailable"
    assert await bank.balance(account) == ("100.00", "0.00")
    assert (await bank.row(Payment, request.id)).status == "failed"


async def test_a_withdrawal_whose_answer_was_lost_is_paid_once(bank: Bank) -> None:
    """Flaw of the product: re-credit on any error even after broadcast, which pays twice."""
    account = await bank.account("100.00 USD")

    sandbox = {"rail": Faults(lose_answer=1)}
    request = WithdrawalRequest(account_uuid=account, amount="25.00", sandbox=sandbox)
    ended = await bank.run("withdrawal", request)

    assert ended.state == "completed"
    assert await bank.balance(account) == ("75.00", "0.00")


async def test_more_than_there_is_is_refused_with_the_amounts(bank: Bank) -> None:
    account = await bank.account("10.00 USD")

    ended = await bank.run("withdrawal", WithdrawalRequest(account_uuid=account, amount="25.00"))

    details = ended.told("workflow.failed")["error_details"]
    assert details["code"] == "INSUFFICIENT_FUNDS"
    assert (details["required_amount"], details["available_amount"]) == ("25.00", "10.00")


async def test_a_withdrawal_over_a_limit_is_refused(bank: Bank) -> None:
    account = await bank.account(
        "100.00 USD", limits=limits_to_row({"USD": AssetLimits(per_transfer_minor=1_000)})
    )

    ended = await bank.run("withdrawal", WithdrawalRequest(account_uuid=account, amount="10.01"))

    assert ended.code == "limit_exceeded"
    assert await bank.balance(account) == ("100.00", "0.00")


@pytest.mark.parametrize("saga_type", ["deposit", "withdrawal"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("frozen", "account_frozen"),
        ("closed", "account_closed"),
        ("pending", "account_not_active"),
    ],
)
async def test_only_an_active_account_pays_and_is_paid(
    bank: Bank, saga_type: str, status: str, code: str
) -> None:
    account = await bank.account("100.00 USD", status=status)

    request_type = {"deposit": DepositRequest, "withdrawal": WithdrawalRequest}[saga_type]
    ended = await bank.run(saga_type, request_type(account_uuid=account, amount="1.00"))

    assert ended.code == code
    assert await bank.balance(account) == ("100.00", "0.00")


async def test_a_payment_that_the_rail_does_not_confirm_in_time_expires(bank: Bank) -> None:
    account = await bank.account("100.00 USD")

    request = WithdrawalRequest(
        id=new_uuid(),
        account_uuid=account,
        amount="25.00",
        expires_in_s=1,
        sandbox={"rail": Faults(confirm_after_ms=60_000)},
    )
    ended = await bank.run("withdrawal", request)

    assert ended.state == "timed_out"
    assert ended.told("workflow.timeout")["timed_out_step"] == "await_payment"
    assert await bank.balance(account) == ("100.00", "0.00")
    assert (await bank.row(Payment, request.id)).status == "expired"


async def test_a_deposit_for_an_account_frozen_meanwhile_goes_back(bank: Bank) -> None:
    account = await bank.account("1.00 USD")
    sandbox = {"rail": Faults(confirm_after_ms=700)}
    request = DepositRequest(id=new_uuid(), account_uuid=account, amount="250.00", sandbox=sandbox)
    handle = await bank.start("deposit", request)
    await bank.until_state(Payment, request.id, "pending")
    await bank.change(Account, account, status="frozen")

    ended = await bank.end_of(handle)

    assert ended.code == "account_frozen"
    assert await bank.balance(account) == ("1.00", "0.00")
    [recalled] = [
        one
        for one in ended.told("workflow.compensation_executed")["compensation_actions"]
        if one["action"] == "recall_payment"
    ]
    assert recalled["amount_reversed"] == "250.00"


async def test_the_id_of_one_payment_is_not_anothers(bank: Bank) -> None:
    account = await bank.account("100.00 USD")
    request = DepositRequest(id=new_uuid(), account_uuid=account, amount="1.00")
    await bank.run("deposit", request)

    again = WithdrawalRequest(id=request.id, account_uuid=account, amount="1.00")
    ended = await bank.run("withdrawal", again)

    assert ended.code == "duplicate_request"
