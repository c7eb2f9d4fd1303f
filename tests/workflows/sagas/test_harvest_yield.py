"""Harvest yield: claimed once, charged once, and the account's in the end, one way or the other."""

from typing import Any

import pytest

from domain.harvest import HarvestYieldRequest
from domain.ids import new_uuid
from domain.position import ClosePositionRequest, OpenPositionRequest
from domain.sandbox import Faults
from storage.position_tables import PositionRow
from storage.tables import ConnectorOperation
from tests.workflows.sagas.bank import Bank

ALL = "100000.00"


async def test_what_a_position_earned_is_paid_out_less_the_fee(bank: Bank) -> None:
    opened = await a_position(bank)
    request = HarvestYieldRequest(id=new_uuid(), position_id=opened.position_id)

    ended = await bank.run("harvest_yield", request, metadata={"run": "1"})

    assert ended.state == "completed"
    told = ended.told("yield.harvested")
    assert told["harvest_id"] == f"hrv_{request.id}" == ended.result["harvest_id"]
    assert told["rewards"] == [
        {
            "asset": "USDC",
            "amount": "11.506849",
            "amount_minor": 11_506_849,
            "value_usd": "11.51",
        }
    ]
    assert (told["fee_amount"], told["fee_asset"]) == ("1.150684", "USDC")
    assert (told["reinvested"], told["metadata"]) == (False, {"run": "1"})
    assert ended.told("account.balance_updated")["change_reason"] == "interest"
    assert await bank.balance(opened.account_uuid, "USDC") == ("10.356165", "0.000000")


async def test_what_is_put_in_again_makes_the_position_larger(bank: Bank) -> None:
    opened = await a_position(bank)

    ended = await harvest(bank, opened, reinvest=True)

    assert ended.told("yield.harvested")["reinvested"] is True
    assert await bank.balance(opened.account_uuid, "USDC") == ("0.000000", "0.000000")
    row = await bank.row(PositionRow, opened.position_id)
    assert row.amount_minor == 100_000_000_000 + 10_356_165


async def test_what_the_protocol_does_not_take_again_is_paid_out(bank: Bank) -> None:
    opened = await a_position(bank)

    sandbox = {"reinvest": Faults(refuse="pool_full")}
    ended = await harvest(bank, opened, reinvest=True, sandbox=sandbox)

    assert ended.state == "completed"
    assert ended.told("yield.harvested")["reinvested"] is False
    assert await bank.balance(opened.account_uuid, "USDC") == ("10.356165", "0.000000")


async def test_a_position_that_closed_meanwhile_takes_nothing_more(bank: Bank) -> None:
    opened = await a_position(bank)
    sandbox = {"reinvest": Faults(delay_ms=1_500)}
    request = HarvestYieldRequest(
        id=new_uuid(), position_id=opened.position_id, reinvest=True, sandbox=sandbox
    )
    handle = await bank.start("harvest_yield", request)
    await bank.until_step(handle, "reinvest_rewards")
    close = ClosePositionRequest(id=new_uuid(), position_id=opened.position_id)
    assert (await bank.run("close_position", close)).state == "completed"

    ended = await bank.end_of(handle)

    assert ended.told("yield.harvested")["reinvested"] is False
    operation = await bank.row(
        ConnectorOperation, ("defi", f"{ended.workflow_id}/reinvest_rewards")
    )
    assert operation.state == "undone"
    # All of it, a day's yield, and the harvest.
    assert await bank.balance(opened.account_uuid, "USDC") == ("100021.863014", "0.000000")


async def test_a_claim_whose_answer_was_lost_is_made_once_and_a_cancel_comes_too_late(
    bank: Bank,
) -> None:
    opened = await a_position(bank)
    sandbox = {"claim": Faults(lose_answer=2)}
    request = HarvestYieldRequest(id=new_uuid(), position_id=opened.position_id, sandbox=sandbox)
    handle = await bank.start("harvest_yield", request)
    await bank.until_step(handle, "claim_rewards")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "completed"
    assert ended.types.count("yield.harvested") == 1
    assert await bank.balance(opened.account_uuid, "USDC") == ("10.356165", "0.000000")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"position_id": "pos_none"}, "position_not_found"),
        ({"sandbox": {"estimate": Faults(refuse="protocol_paused")}}, "protocol_paused"),
        ({"sandbox": {"claim": Faults(refuse="nothing_to_claim")}}, "nothing_to_claim"),
    ],
)
async def test_what_is_refused_moves_nothing(bank: Bank, fields: dict[str, Any], code: str) -> None:
    opened = await a_position(bank)

    ended = await harvest(bank, opened, **fields)

    assert (ended.state, ended.code) == ("failed", code)
    assert "yield.harvested" not in ended.types
    assert await bank.balance(opened.account_uuid, "USDC") == ("0.000000", "0.000000")


async def test_rewards_that_are_not_worth_their_gas_stay_where_they_are(bank: Bank) -> None:
    opened = await a_position(bank, amount="10.00")

    ended = await harvest(bank, opened)

    assert ended.code == "rewards_below_gas"
    assert ended.failure["details"] == {"rewards_usd": "0.00", "gas_usd": "0.01"}


async def test_a_closed_position_earns_nothing(bank: Bank) -> None:
    opened = await a_position(bank)
    close = ClosePositionRequest(id=new_uuid(), position_id=opened.position_id)
    await bank.run("close_position", close)

    assert (await harvest(bank, opened)).code == "position_not_open"


async def a_position(bank: Bank, *, amount: str = ALL) -> OpenPositionRequest:
    """Of all that its account has."""
    account = await bank.account(f"{amount} USDC")
    request = OpenPositionRequest(id=new_uuid(), account_uuid=account, amount=amount)
    assert (await bank.run("open_position", request)).state == "completed"
    return request


async def harvest(bank: Bank, opened: OpenPositionRequest, **fields: Any) -> Any:
    given = {"position_id": opened.position_id} | fields
    return await bank.run("harvest_yield", HarvestYieldRequest(id=new_uuid(), **given))
