from typing import Any

import pytest
from temporalio.service import RPCError

from domain.errors import RouteUnsupported
from domain.ids import new_uuid
from domain.payment_intent import Authorization, NetworkName, PaymentIntentRequest, fee_estimate
from domain.sandbox import Faults
from storage.payment_intent_tables import PaymentIntent
from tests.workflows.sagas.bank import Bank

PAYER = Authorization(by="device_1")


async def test_an_authorised_payment_is_confirmed_and_given_a_receipt(bank: Bank) -> None:
    intent = await an_intent(bank)
    handle = await bank.start("payment_intent", intent, merchant_name="Corner Books")
    await bank.until_state(PaymentIntent, intent.intent_id, "awaiting_auth")
    await handle.execute_update("authorize", PAYER)

    ended = await bank.end_of(handle)

    assert ended.state == "completed"
    created, completed = (
        ended.told("payment_intent.created"),
        ended.told("payment_intent.completed"),
    )
    assert created["status"] == "created"
    assert completed["merchant"] == {"id": "mer_1", "display_name": "Corner Books"}
    assert (completed["status"], completed["confirmations"]) == ("confirmed", 12)
    assert completed["tx_hash"].startswith("sandbox:0x")
    assert completed["receipt_id"] == ended.result["receipt_id"]
    assert await bank.balance(intent.payer_account, "USDC") == ("75.090000", "0.000000")


async def test_a_signal_authorises_as_well(bank: Bank) -> None:
    intent = await an_intent(bank)
    handle = await bank.start("payment_intent", intent)
    await handle.signal("authorize", PAYER)

    assert (await bank.end_of(handle)).state == "completed"


async def test_what_was_authorised_before_does_not_wait(bank: Bank) -> None:
    ended = await bank.run("payment_intent", await an_intent(bank, authorized=True))

    assert ended.state == "completed"


async def test_an_intent_that_nobody_authorises_expires(bank: Bank) -> None:
    intent = await an_intent(bank, authorize_within_s=1)
    handle = await bank.start("payment_intent", intent)

    ended = await bank.end_of(handle)

    told = ended.told("payment_intent.expired")
    assert (told["last_status"], told["released_hold"]) == ("awaiting_auth", False)
    assert ended.told("workflow.timeout")["timed_out_step"] == "authorization"
    assert (await bank.row(PaymentIntent, intent.intent_id)).status == "expired"
    assert await bank.balance(intent.payer_account, "USDC") == ("100.000000", "0.000000")
    with pytest.raises(RPCError, match="completed"):
        await handle.execute_update("authorize", PAYER)


async def test_an_intent_can_be_cancelled_while_it_waits(bank: Bank) -> None:
    intent = await an_intent(bank)
    handle = await bank.start("payment_intent", intent)
    await bank.until_state(PaymentIntent, intent.intent_id, "awaiting_auth")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert "payment_intent.expired" not in ended.types
    assert (await bank.row(PaymentIntent, intent.intent_id)).status == "cancelled"


async def test_too_little_money_is_refused_with_the_fee_counted(bank: Bank) -> None:
    intent = await an_intent(bank, amount="100.00", authorized=True)

    ended = await bank.run("payment_intent", intent)

    assert ended.code == "insufficient_funds"
    assert ended.failure["details"]["required_minor"] == 100_010_000
    assert (await bank.row(PaymentIntent, intent.intent_id)).status == "failed"


@pytest.mark.parametrize(
    ("status", "code"), [("frozen", "account_frozen"), ("closed", "account_closed")]
)
async def test_the_payers_account_must_be_active(bank: Bank, status: str, code: str) -> None:
    payer = await bank.account("100.00 USDC", status=status)

    ended = await bank.run(
        "payment_intent", await an_intent(bank, payer_account=payer, authorized=True)
    )

    assert ended.code == code


async def test_a_chain_that_refuses_leaves_the_money_where_it_was(bank: Bank) -> None:
    sandbox = {"chain": Faults(refuse="route_unsupported")}
    intent = await an_intent(bank, authorized=True, sandbox=sandbox)

    ended = await bank.run("payment_intent", intent)

    assert ended.code == "route_unsupported", ended
    undone = ended.told("workflow.compensation_executed")["compensation_actions"]
    assert [one["action"] for one in undone] == ["release_payment"]
    assert undone[0]["amount_reversed"] == "24.910000"
    assert await bank.balance(intent.payer_account, "USDC") == ("100.000000", "0.000000")


async def test_what_was_broadcast_is_never_given_back(bank: Bank) -> None:
    """Flaw of the product: re-credit on any error even after broadcast, which pays twice."""
    sandbox = {"chain": Faults(lose_answer=1, confirm_after_ms=1_500)}
    intent = await an_intent(bank, authorized=True, authorize_within_s=1, sandbox=sandbox)
    handle = await bank.start("payment_intent", intent)
    await bank.until_state(PaymentIntent, intent.intent_id, "pending")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "completed"
    assert await bank.balance(intent.payer_account, "USDC") == ("75.090000", "0.000000")


async def test_an_intent_is_found_by_the_id_that_events_tell(bank: Bank) -> None:
    intent = await an_intent(bank, authorized=True)

    ended = await bank.run("payment_intent", intent)

    told = ended.told("payment_intent.created")
    assert (await bank.row(PaymentIntent, told["intent_id"])).workflow_id == ended.workflow_id


def test_an_asset_that_the_network_does_not_carry_is_refused_before_anything_starts() -> None:
    with pytest.raises(RouteUnsupported):
        PaymentIntentRequest(
            payer_account="a", merchant_id="m", amount="1", asset_code="SOL", network="tron"
        )


@pytest.mark.parametrize(
    ("network", "confirmations"),
    [
        ("solana", 32),
        ("tron", 20),
        ("polygon", 128),
        ("base", 12),
        ("arbitrum", 12),
        ("ethereum", 12),
    ],
)
def test_each_network_has_its_own_confirmations(network: NetworkName, confirmations: int) -> None:
    intent = PaymentIntentRequest(
        payer_account="a", merchant_id="m", amount="1.00", asset_code="USDC", network=network
    )

    assert intent.confirmations == confirmations


def test_the_fee_is_told_in_the_asset_that_is_sent() -> None:
    assert fee_estimate("base", "USDC").decimal == "0.010000"
    assert fee_estimate("ethereum", "ETH").decimal == "0.00050000"


async def an_intent(bank: Bank, **fields: Any) -> PaymentIntentRequest:
    """Of 24.90 USDC, from an account that has 100."""
    payer = fields.pop("payer_account", None) or await bank.account("100.00 USDC")
    defaults = {"merchant_id": "mer_1", "amount": "24.90"}
    return PaymentIntentRequest(id=new_uuid(), payer_account=payer, **defaults | fields)
