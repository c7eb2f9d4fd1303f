"""Bridge transfer: the tokens arrive, or they come back; they are never in two places."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.bridge import BridgeQuoteRequest, BridgeTransferRequest
from domain.errors import RouteUnsupported
from domain.ids import new_uuid
from domain.sandbox import Faults
from domain.wallets import wallet_address
from storage.bridge_tables import Bridge, BridgeQuoteRow
from storage.tables import ConnectorOperation
from storage.types import utc_now
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank

UNTOUCHED = ("1000.000000", "0.000000")


async def test_tokens_that_change_chains_cost_their_owner_the_fee(bank: Bank) -> None:
    request = await a_bridge(bank)

    ended = await bank.run("bridge_transfer", request, metadata={"invoice": "7"})

    assert ended.state == "completed"
    assert ended.types.index("bridge.initiated") < ended.types.index("bridge.completed")
    initiated, completed = ended.told("bridge.initiated"), ended.told("bridge.completed")
    assert initiated["status"] == "initiated"
    assert completed["bridge_tx_id"] == f"brg_{request.id}" == ended.result["bridge_tx_id"]
    assert completed["sender_address"] == wallet_address(TENANT, request.from_account, "ethereum")
    assert completed["recipient_address"] == wallet_address(TENANT, request.from_account, "base")
    assert (completed["amount"], completed["fee_amount"]) == ("400.000000", "1.000000")
    assert completed["amount_received"] == "399.000000"
    assert completed["destination_tx_hash"] != completed["source_tx_hash"]
    assert completed["confirmations"] == 12
    assert completed["metadata"] == {"invoice": "7"}
    assert await bank.balance(request.from_account, "USDC") == ("999.000000", "0.000000")


async def test_tokens_for_another_account_are_credited_there(bank: Bank) -> None:
    to_account = await bank.account()
    request = await a_bridge(bank, to_account=to_account)

    ended = await bank.run("bridge_transfer", request)

    assert ended.state == "completed"
    assert await bank.balance(request.from_account, "USDC") == ("600.000000", "0.000000")
    assert await bank.balance(to_account, "USDC") == ("399.000000", "0.000000")


async def test_tokens_for_an_address_leave_the_bank(bank: Bank) -> None:
    request = await a_bridge(bank, recipient_address="0x" + "2e" * 20)

    ended = await bank.run("bridge_transfer", request)

    assert ended.told("bridge.completed")["recipient_address"] == "0x" + "2e" * 20
    assert await bank.balance(request.from_account, "USDC") == ("600.000000", "0.000000")


async def test_what_does_not_arrive_in_time_is_given_back(bank: Bank) -> None:
    sandbox = {"bridge": Faults(confirm_after_ms=600_000)}
    request = await a_bridge(bank, confirm_within_s=1, sandbox=sandbox)

    ended = await bank.run("bridge_transfer", request)

    assert (ended.state, ended.code) == ("failed", "bridge_timeout")
    told = ended.told("bridge.failed")
    assert told["failure_reason"] == "bridge_timeout"
    assert told["error_details"]["code"] == "BRIDGE_TIMEOUT"
    assert told["refund_status"] == "refunded"
    assert told["refund_tx_hash"].startswith("sandbox:0x")
    assert "bridge.completed" not in ended.types
    undone = ended.told("workflow.compensation_executed")
    assert [one["action"] for one in undone["compensation_actions"]] == [
        "refund_source",
        "unlock_source",
    ]
    assert undone["fully_compensated"]
    assert ended.told("workflow.failed")["failed_step"] == "await_arrival"
    assert await bank.balance(request.from_account, "USDC") == UNTOUCHED


async def test_a_broadcast_whose_answer_was_lost_is_neither_paid_twice_nor_given_back(
    bank: Bank,
) -> None:
    """Flaw of the product: re-credit on any error even after broadcast, which pays twice."""
    sandbox = {"bridge": Faults(lose_answer=2, confirm_after_ms=1_000)}
    request = await a_bridge(bank, sandbox=sandbox)
    handle = await bank.start("bridge_transfer", request)
    await bank.until_state(Bridge, request.bridge_id, "initiated")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "completed"
    operation = await bank.row(ConnectorOperation, ("bridge", f"{ended.workflow_id}/submit_source"))
    assert (operation.state, operation.calls) == ("done", 3)
    assert ended.types.count("bridge.initiated") == 1
    assert await bank.balance(request.from_account, "USDC") == ("999.000000", "0.000000")


async def test_a_late_arrival_is_asked_for_until_it_comes_and_told_once(bank: Bank) -> None:
    """Flaw of the product: status polling that repeats `completed` events."""
    sandbox = {"bridge": Faults(confirm_after_ms=1_200)}
    request = await a_bridge(bank, confirm_within_s=10, sandbox=sandbox)

    ended = await bank.run("bridge_transfer", request)

    assert ended.state == "completed"
    assert ended.types.count("bridge.completed") == 1
    assert "bridge.failed" not in ended.types
    [arrived] = [
        step["attempt"]
        for step in (one["step"] for one in ended.told_all("workflow.step_completed"))
        if step["name"] == "await_arrival"
    ]
    assert arrived > 1


async def test_a_field_is_not_blanked_for_its_name(bank: Bank) -> None:
    """Flaw of the product: a sanitiser that blanks what is called key, token, pan or pin."""
    ended = await bank.run("bridge_transfer", await a_bridge(bank))

    assert ended.told("bridge.initiated")["token"] == "USDC"


async def test_a_bridge_that_refuses_leaves_the_money_where_it_was(bank: Bank) -> None:
    request = await a_bridge(bank, sandbox={"bridge": Faults(refuse="route_unsupported")})

    ended = await bank.run("bridge_transfer", request)

    assert ended.code == "route_unsupported"
    told = ended.told("bridge.failed")
    assert (told["refund_status"], told["source_tx_hash"]) == ("none", None)
    assert "bridge.initiated" not in ended.types
    assert await bank.balance(request.from_account, "USDC") == UNTOUCHED


async def test_a_bridge_without_a_quote_ends_it_before_there_is_anything_to_tell(
    bank: Bank,
) -> None:
    request = await a_bridge(bank, sandbox={"bridge_quote": Faults(refuse="bridge_paused")})

    ended = await bank.run("bridge_transfer", request)

    assert ended.code == "bridge_paused"
    assert "bridge.failed" not in ended.types
    assert await bank.row(Bridge, request.bridge_id) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": "1500.00"}, "insufficient_funds"),
        ({"sandbox": {"sanctions": Faults(refuse="sanctions_hit")}}, "sanctions_hit"),
        ({"sender_address": "0x" + "ab" * 20}, "sender_not_verified"),
        ({"amount": "100000.01"}, "limit_exceeded"),
    ],
)
async def test_what_is_refused_before_it_is_sent(
    bank: Bank, fields: dict[str, Any], code: str
) -> None:
    request = await a_bridge(bank, **fields)

    ended = await bank.run("bridge_transfer", request)

    assert ended.code == code
    assert ended.told("bridge.failed")["failure_reason"] == code
    assert ended.told("bridge.failed")["refund_status"] == "none"
    assert await bank.balance(request.from_account, "USDC") == UNTOUCHED


@pytest.mark.parametrize(
    ("status", "code"), [("frozen", "account_frozen"), ("closed", "account_closed")]
)
async def test_the_account_must_be_active(bank: Bank, status: str, code: str) -> None:
    account = await bank.account("1000.00 USDC", status=status)

    ended = await bank.run("bridge_transfer", await a_bridge(bank, from_account=account))

    assert ended.code == code


async def test_the_limits_of_a_day_count_what_is_under_way(bank: Bank) -> None:
    account = await bank.account("600000.00 USDC")
    ends = [
        await bank.run("bridge_transfer", await a_bridge(bank, from_account=account, amount=amount))
        for amount in ["100000.00"] * 4 + ["99999.00", "2.00", "1.00"]
    ]

    assert [ended.state for ended in ends] == ["completed"] * 5 + ["failed", "completed"]
    assert ends[5].failure["details"]["limit"] == "per_day"


async def test_transfers_at_the_same_time_do_not_pass_the_limit_together(bank: Bank) -> None:
    account = await bank.account("900000.00 USDC")
    requests = [await a_bridge(bank, from_account=account, amount="90000.00") for _ in range(8)]

    ends = await asyncio.gather(*(bank.run("bridge_transfer", one) for one in requests))

    assert [ended.state for ended in ends].count("completed") == 5
    assert {ended.code for ended in ends if ended.state != "completed"} == {"limit_exceeded"}


async def test_a_quote_that_two_want_at_once_serves_one_of_them(bank: Bank) -> None:
    quote_id = (await bank.run("bridge_quote", a_quote())).result["quote_id"]
    requests = [await a_bridge(bank, quote_id=quote_id) for _ in range(4)]

    ends = await asyncio.gather(*(bank.run("bridge_transfer", one) for one in requests))

    assert sorted(ended.state for ended in ends) == ["completed", *["failed"] * 3]


async def test_a_quote_serves_one_transfer(bank: Bank) -> None:
    quote_id = (await bank.run("bridge_quote", a_quote())).result["quote_id"]
    first = await bank.run("bridge_transfer", await a_bridge(bank, quote_id=quote_id))

    second = await bank.run("bridge_transfer", await a_bridge(bank, quote_id=quote_id))

    assert first.state == "completed"
    assert first.told("bridge.completed")["quote_id"] == quote_id
    assert (second.state, second.code) == ("failed", "quote_expired")


async def test_a_quote_is_for_just_that_transfer_and_for_five_minutes(bank: Bank) -> None:
    quote = (await bank.run("bridge_quote", a_quote())).result
    row = await bank.row(BridgeQuoteRow, quote["quote_id"])
    assert timedelta(seconds=295) < row.expires_at - utc_now() <= timedelta(seconds=300)

    other = await a_bridge(bank, quote_id=quote["quote_id"], amount="10.00")
    assert (await bank.run("bridge_transfer", other)).code == "quote_expired"

    await bank.change(BridgeQuoteRow, row.id, expires_at=utc_now())
    late = await a_bridge(bank, quote_id=quote["quote_id"])
    assert (await bank.run("bridge_transfer", late)).code == "quote_expired"


async def test_the_same_id_twice_is_one_transfer(bank: Bank) -> None:
    request = await a_bridge(bank)
    await bank.run("bridge_transfer", request)

    again = await bank.run("bridge_transfer", replace(request, id=request.bridge_id))

    assert again.code == "duplicate_request"
    assert await bank.balance(request.from_account, "USDC") == ("999.000000", "0.000000")


@pytest.mark.parametrize(
    "fields",
    [
        {"to_chain": "ethereum"},
        {"asset_code": "SOL"},
        {"protocol": "circle_cctp", "asset_code": "DAI"},
        {"to_account": "a", "recipient_address": "0x" + "1f" * 20},
    ],
)
def test_a_way_that_does_not_exist_is_refused_before_anything_starts(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(RouteUnsupported):
        BridgeTransferRequest(from_account="a", amount="1.00", **fields)


async def a_bridge(bank: Bank, **fields: Any) -> BridgeTransferRequest:
    """Of 400 USDC, from an account that has 1,000."""
    account = fields.pop("from_account", None) or await bank.account("1000.00 USDC")
    return BridgeTransferRequest(
        id=new_uuid(), from_account=account, **{"amount": "400.00"} | fields
    )


def a_quote() -> BridgeQuoteRequest:
    return BridgeQuoteRequest(id=new_uuid(), amount="400.00")
