"""Cross-chain swap: swapped at the minimum or better, or bridged and told so; never in between."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import RouteUnsupported
from domain.ids import new_uuid
from domain.sandbox import Faults
from domain.swap import CrossChainSwapRequest
from domain.transfer import TransferRequest
from storage.bridge_tables import Bridge
from storage.ledger_tables import Account
from storage.tables import ConnectorOperation
from tests.workflows.sagas.bank import Bank

UNTOUCHED = ("1000.000000", "0.000000")
BRIDGED = ("998.500000", "0.000000")  # 600 went over, for a fee of 1.5.


async def test_tokens_are_bridged_and_swapped(bank: Bank) -> None:
    request = await a_swap(bank)

    ended = await bank.run("cross_chain_swap", request, metadata={"desk": "7"})

    assert ended.state == "completed"
    told = ended.told("swap.completed")
    assert told["swap_id"] == f"swap_{request.id}" == ended.result["swap_id"]
    assert (told["outcome"], told["output_token"]) == ("swapped", "ETH")
    assert (told["input_amount"], told["output_amount"]) == ("600.000000", "0.19949880")
    assert told["min_output_amount_minor"] <= told["output_amount_minor"]
    assert told["price_impact_percent"] == "0.0006"
    assert told["swap_tx_hash"].startswith("sandbox:0x")
    assert told["metadata"] == {"desk": "7"}
    bridged = await bank.outcome(f"bridge_transfer/{request.id}-bridge")
    assert bridged.told("bridge.completed")["bridge_tx_id"] == told["bridge_tx_id"]
    assert await bank.balance(request.from_account, "USDC") == ("400.000000", "0.000000")
    assert await bank.balance(request.from_account, "ETH") == ("0.19949880", "0.00000000")


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(refuse="pool_paused"), "pool_paused"),
        (Faults(slip_percent="5"), "slippage_exceeded"),
    ],
)
async def test_a_swap_that_fails_is_told_as_bridged_and_not_swapped(
    bank: Bank, faults: Faults, reason: str
) -> None:
    """Flaw of the product: a failed swap reported as completed."""
    request = await a_swap(bank, sandbox={"dex": faults})

    ended = await bank.run("cross_chain_swap", request)

    assert (ended.state, ended.result["reason"]) == ("completed", reason)
    told = ended.told("swap.completed")
    assert (told["outcome"], told["swap_tx_hash"]) == ("bridged_unswapped", None)
    assert (told["output_token"], told["output_amount"]) == ("USDC", "598.500000")
    assert await bank.balance(request.from_account, "USDC") == BRIDGED
    assert await bank.balance(request.from_account, "ETH") == ("0.00000000", "0.00000000")


async def test_a_minimum_of_ones_own_is_kept(bank: Bank) -> None:
    request = await a_swap(bank, min_output_amount="0.1995")

    ended = await bank.run("cross_chain_swap", request)

    assert ended.result["reason"] == "slippage_exceeded"
    assert ended.told("swap.completed")["min_output_amount"] == "0.19950000"


async def test_a_minimum_that_no_market_gives_is_refused_before_anything_moves(
    bank: Bank,
) -> None:
    ended = await bank.run("cross_chain_swap", await a_swap(bank, min_output_amount="0.21"))

    assert (ended.state, ended.code) == ("failed", "slippage_exceeded")
    assert "swap.completed" not in ended.types


async def test_a_bridge_that_fails_gives_all_back_and_nothing_is_swapped(bank: Bank) -> None:
    sandbox = {"bridge": Faults(confirm_after_ms=600_000)}
    request = await a_swap(bank, confirm_within_s=1, sandbox=sandbox)

    ended = await bank.run("cross_chain_swap", request)

    assert (ended.state, ended.code) == ("failed", "bridge_timeout")
    assert "swap.completed" not in ended.types
    bridged = await bank.outcome(f"bridge_transfer/{request.id}-bridge")
    assert bridged.told("bridge.failed")["refund_status"] == "refunded"
    assert await bank.balance(request.from_account, "USDC") == UNTOUCHED


async def test_too_little_money_is_found_out_by_the_bridge(bank: Bank) -> None:
    ended = await bank.run("cross_chain_swap", await a_swap(bank, amount="1200.00"))

    assert ended.code == "insufficient_funds"


async def test_a_swap_whose_answer_was_lost_is_made_once(bank: Bank) -> None:
    request = await a_swap(bank, sandbox={"dex": Faults(lose_answer=2)})

    ended = await bank.run("cross_chain_swap", request)

    assert ended.told("swap.completed")["outcome"] == "swapped"
    assert await bank.balance(request.from_account, "ETH") == ("0.19949880", "0.00000000")


async def test_a_swap_that_was_given_up_is_refused_when_it_comes(bank: Bank) -> None:
    request = await a_swap(bank, sandbox={"dex": Faults(slip_percent="5")})

    ended = await bank.run("cross_chain_swap", request)

    operation = await bank.row(ConnectorOperation, ("dex", f"{ended.workflow_id}/swap_bridged"))
    assert operation.state == "refused"


async def test_what_was_spent_before_it_could_be_swapped_stays_spent(bank: Bank) -> None:
    request = await a_swap(bank, sandbox={"bridge": Faults(confirm_after_ms=1_500)})
    handle = await bank.start("cross_chain_swap", request)
    await bank.until_state(Bridge, request.bridge.bridge_id, "initiated")
    await bank.change(Account, request.from_account, status="frozen")

    ended = await bank.end_of(handle)

    assert ended.result["reason"] == "account_frozen"
    assert ended.told("swap.completed")["outcome"] == "bridged_unswapped"
    assert await bank.balance(request.from_account, "USDC") == BRIDGED


async def test_a_cancel_before_the_tokens_are_sent_moves_nothing(bank: Bank) -> None:
    request = await a_swap(bank, sandbox={"sanctions": Faults(delay_ms=1_500)})
    handle = await bank.start("cross_chain_swap", request)
    await bank.until_begun(f"bridge_transfer/{request.id}-bridge")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert await bank.balance(request.from_account, "USDC") == UNTOUCHED


async def test_what_comes_out_can_be_sent_on(bank: Bank) -> None:
    request = await a_swap(bank)
    await bank.run("cross_chain_swap", request)
    onward = TransferRequest(
        id=new_uuid(),
        from_account=request.from_account,
        to_account=await bank.account(),
        amount="0.10",
        asset_code="ETH",
    )

    assert (await bank.run("transfer", onward)).state == "completed"


@pytest.mark.parametrize(
    "fields", [{"to_asset": "USDC"}, {"to_asset": "SOL"}, {"to_chain": "ethereum"}]
)
def test_a_swap_that_cannot_be_is_refused_before_anything_starts(fields: dict[str, Any]) -> None:
    request = CrossChainSwapRequest(from_account="a", amount="1.00")
    with pytest.raises(RouteUnsupported):
        replace(request, **fields)


async def a_swap(bank: Bank, **fields: Any) -> CrossChainSwapRequest:
    """Of 600 USDC for ETH, from an account that has 1,000."""
    account = await bank.account("1000.00 USDC")
    return CrossChainSwapRequest(
        id=new_uuid(), from_account=account, **{"amount": "600.00"} | fields
    )
