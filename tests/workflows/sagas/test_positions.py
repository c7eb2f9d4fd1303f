"""Positions: what is put into a protocol is in one place, and comes back as what it is worth."""

import asyncio
from typing import Any

import pytest

from domain.errors import InvalidAmount, RouteUnsupported
from domain.ids import new_uuid
from domain.money import Money
from domain.position import ClosePositionRequest, OpenPositionRequest, health_factor
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from storage.position_tables import PositionRow
from storage.tables import ConnectorOperation
from tests.workflows.sagas.bank import Bank, Outcome


async def test_a_supplied_position_is_opened_and_closed_with_its_yield(bank: Bank) -> None:
    request = await an_opening(bank)

    opened = await bank.run("open_position", request, metadata={"desk": "7"})

    assert opened.state == "completed"
    told = opened.told("position.opened")
    assert told["position_id"] == f"pos_{request.id}" == opened.result["position_id"]
    assert (told["type"], told["amount"], told["value_usd"]) == ("supply", "500.000000", "500.00")
    assert (told["apy"], told["health_factor"]) == ("4.20", None)
    assert told["metadata"] == {"desk": "7"}
    assert await bank.balance(request.account_uuid, "USDC") == ("500.000000", "0.000000")

    closed = await close(bank, request)

    told = closed.told("position.closed")
    assert (told["reason"], told["returned_amount"]) == ("user", "500.057534")
    assert told["realized_pnl_usd"] == "0.06"
    assert told["tx_hash"] != opened.told("position.opened")["tx_hash"]
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.057534", "0.000000")


async def test_what_is_borrowed_is_paid_out_and_back(bank: Bank) -> None:
    request = await a_loan(bank)

    opened = await bank.run("open_position", request)

    assert opened.told("position.opened")["health_factor"] == "2.40"
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.000000", "0.000000")
    assert await bank.balance(request.account_uuid, "ETH") == ("0.00000000", "0.00000000")

    closed = await close(bank, request)

    assert closed.state == "completed"
    assert await bank.balance(request.account_uuid, "USDC") == ("0.000000", "0.000000")
    assert await bank.balance(request.account_uuid, "ETH") == ("1.00005753", "0.00000000")


async def test_who_has_spent_what_was_borrowed_keeps_the_position(bank: Bank) -> None:
    request = await a_loan(bank, opened=True)
    await spend(bank, request.account_uuid, "900.00")

    ended = await close(bank, request)

    assert ended.code == "insufficient_funds"
    assert "position.closed" not in ended.types
    assert (await bank.row(PositionRow, request.position_id)).status == "open"


async def test_a_liquidation_leaves_what_the_protocol_is_not_owed(bank: Bank) -> None:
    request = await a_loan(bank, opened=True)

    ended = await close(bank, request, "liquidated", slip_percent="60")

    told = ended.told("position.closed")
    # 1 ETH is worth 1,200 USD; the protocol takes 1,050, and the customer keeps 1,000 borrowed.
    assert (told["reason"], told["returned_amount"]) == ("liquidated", "0.12500000")
    assert told["realized_pnl_usd"] == "-1850.00"
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.000000", "0.000000")


async def test_a_position_that_is_worth_nothing_any_more_returns_nothing(bank: Bank) -> None:
    request = await a_loan(bank, opened=True)

    ended = await close(bank, request, "liquidated", slip_percent="99")

    assert ended.told("position.closed")["returned_amount"] == "0.00000000"


async def test_a_healthy_position_cannot_be_liquidated(bank: Bank) -> None:
    request = await a_loan(bank, opened=True)

    ended = await close(bank, request, "liquidated")

    assert ended.code == "position_healthy"
    assert (await bank.row(PositionRow, request.position_id)).status == "open"


async def test_a_position_is_closed_once(bank: Bank) -> None:
    request = await an_opening(bank)
    await bank.run("open_position", request)
    await close(bank, request)

    again = await close(bank, request)

    assert again.code == "position_not_open"
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.057534", "0.000000")


async def test_of_two_who_close_it_at_once_one_does(bank: Bank) -> None:
    request = await an_opening(bank)
    await bank.run("open_position", request)

    ends = await asyncio.gather(close(bank, request), close(bank, request))

    assert sorted(ended.state for ended in ends) == ["completed", "failed"]
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.057534", "0.000000")


async def test_a_position_that_is_not_there_cannot_be_closed(bank: Bank) -> None:
    ended = await bank.run(
        "close_position", ClosePositionRequest(id=new_uuid(), position_id="pos_none")
    )

    assert ended.code == "position_not_found"


async def test_a_withdrawal_whose_answer_was_lost_is_done_once(bank: Bank) -> None:
    request = await an_opening(bank)
    await bank.run("open_position", request)

    ended = await close(bank, request, lose_answer=2)

    operation = await bank.row(
        ConnectorOperation, ("defi", f"{ended.workflow_id}/withdraw_position")
    )
    assert (operation.state, operation.calls) == ("done", 3)
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.057534", "0.000000")


@pytest.mark.parametrize(
    ("fields", "code", "undone"),
    [
        ({"amount": "2000.00"}, "insufficient_funds", []),
        ({"sandbox": {"assess": Faults(refuse="protocol_paused")}}, "protocol_paused", []),
        ({"sandbox": {"assess": Faults(slip_percent="1.2")}}, "slippage_exceeded", []),
        (
            {"sandbox": {"approve": Faults(refuse="wallet_locked")}},
            "wallet_locked",
            ["unlock_stake"],
        ),
        (
            {"sandbox": {"supply": Faults(refuse="pool_full")}},
            "pool_full",
            ["revoke_protocol", "unlock_stake"],
        ),
        (
            {"sandbox": {"supply": Faults(lose_answer=9)}},
            "defi_unavailable",
            ["withdraw_supply", "revoke_protocol", "unlock_stake"],
        ),
    ],
)
async def test_what_is_refused_leaves_nothing_behind(
    bank: Bank, fields: dict[str, Any], code: str, undone: list[str]
) -> None:
    request = await an_opening(bank, **fields)

    ended = await bank.run("open_position", request)

    assert ended.code == code
    assert "position.opened" not in ended.types
    told = ended.told_all("workflow.compensation_executed")
    actions = [one["action"] for found in told for one in found["compensation_actions"]]
    assert actions == undone
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.000000", "0.000000")


async def test_a_position_that_was_told_open_and_undone_is_told_closed(bank: Bank) -> None:
    request = await an_opening(bank)

    ended = await bank.run("open_position", request, refuse="settle_stake")

    assert ended.state == "failed"
    told = ended.told("position.closed")
    assert (told["reason"], told["returned_amount"]) == ("compensation", "500.000000")
    assert (await bank.row(PositionRow, request.position_id)).status == "failed"
    assert await bank.balance(request.account_uuid, "USDC") == ("1000.000000", "0.000000")


async def test_a_loan_that_would_be_liquidated_at_once_is_refused(bank: Bank) -> None:
    ended = await bank.run("open_position", await a_loan(bank, borrow_amount="2400.00"))

    assert ended.code == "undercollateralized"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"type": "borrow"}, InvalidAmount),
        ({"borrow_amount": "1.00", "borrow_asset": "USDC"}, InvalidAmount),
        ({"asset_code": "SOL"}, RouteUnsupported),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        OpenPositionRequest(account_uuid="a", amount="1.00", **fields)


def test_a_health_factor_is_the_collateral_that_counts_over_the_debt() -> None:
    collateral, debt = Money(330_000_000, "ETH"), Money(6_000_000_000, "USDC")

    assert str(health_factor(collateral, debt)) == "1.32"
    assert health_factor(collateral, None) is None


async def an_opening(bank: Bank, **fields: Any) -> OpenPositionRequest:
    """Of 500 USDC, from an account that has 1,000."""
    account = await bank.account("1000.00 USDC")
    return OpenPositionRequest(id=new_uuid(), account_uuid=account, **{"amount": "500.00"} | fields)


async def a_loan(bank: Bank, *, opened: bool = False, **fields: Any) -> OpenPositionRequest:
    """Of 1,000 USDC against 1 ETH, which is all that the account has."""
    request = OpenPositionRequest(
        id=new_uuid(),
        account_uuid=await bank.account("1.00 ETH"),
        type="borrow",
        asset_code="ETH",
        borrow_asset="USDC",
        **{"amount": "1.00", "borrow_amount": "1000.00"} | fields,
    )
    if opened:
        assert (await bank.run("open_position", request)).state == "completed"
    return request


async def close(
    bank: Bank, opened: OpenPositionRequest, reason: Any = "user", **faults: Any
) -> Outcome:
    request = ClosePositionRequest(
        id=new_uuid(),
        position_id=opened.position_id,
        reason=reason,
        sandbox={"close": Faults(**faults)},
    )
    return await bank.run("close_position", request)


async def spend(bank: Bank, account_id: str, amount: str) -> None:
    request = TransferRequest(
        id=new_uuid(),
        from_account=account_id,
        to_account=await bank.account(),
        amount=amount,
        asset_code="USDC",
    )
    ended = await bank.run("transfer", request)
    assert ended.state == "completed", ended
