"""Position monitor: warns once, liquidates in time, and runs for ever in a short history."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from domain.ids import new_uuid
from domain.position import ClosePositionRequest, OpenPositionRequest
from domain.position_watch import Judgement, MonitorPositionRequest, PriceMove, judge
from domain.sandbox import Faults
from storage.position_tables import PositionRow
from tests.workflows.sagas.bank import Bank, until

WARNING = "position.liquidation_warning"


async def test_it_warns_when_the_price_falls_and_liquidates_when_it_falls_further(
    bank: Bank,
) -> None:
    opened = await a_loan(bank)
    handle = await watch(bank, opened)

    await move_price(bank, handle, "45", warnings=1)
    await handle.signal("move_price", PriceMove("60"))
    ended = await bank.end_of(handle)

    assert ended.state == "completed"
    assert ended.result == {"outcome": "liquidated", "warnings": 1}
    told = ended.told(WARNING)
    assert (told["health_factor"], told["warning_threshold"]) == ("1.32", "1.5")
    assert (told["collateral_value_usd"], told["debt_value_usd"]) == ("1650.00", "1000.00")
    closed = await bank.outcome(f"close_position/{handle.id.partition('/')[2]}-1")
    assert closed.told("position.closed")["reason"] == "liquidated"
    assert await bank.balance(opened.account_uuid, "ETH") == ("0.12500000", "0.00000000")


async def test_a_price_that_goes_up_and_down_round_the_threshold_is_one_warning(
    bank: Bank,
) -> None:
    handle = await watch(bank, await a_loan(bank))

    await move_price(bank, handle, "40", warnings=1)  # 1.44
    await move_price(bank, handle, "36", warnings=1)  # 1.53: not calm yet
    await move_price(bank, handle, "40", warnings=1)
    await move_price(bank, handle, "30", warnings=1)  # 1.68: calm
    await move_price(bank, handle, "40", warnings=2)

    await handle.cancel()
    assert (await bank.end_of(handle)).state == "cancelled"


async def test_a_price_that_falls_through_both_thresholds_warns_that_it_is_too_late(
    bank: Bank,
) -> None:
    opened = await a_loan(bank)
    ended = await bank.run("position_monitor", monitor(opened, slip_percent="70"))

    assert ended.result["outcome"] == "liquidated"
    assert ended.told(WARNING)["time_to_respond_seconds"] == 0


async def test_it_ends_when_the_owner_closes_the_position(bank: Bank) -> None:
    opened = await a_loan(bank)
    handle = await watch(bank, opened)
    close = ClosePositionRequest(id=new_uuid(), position_id=opened.position_id)
    assert (await bank.run("close_position", close)).state == "completed"

    await handle.signal("look_now")

    assert (await bank.end_of(handle)).result == {"outcome": "closed", "warnings": 0}


async def test_a_liquidation_that_fails_is_tried_again(bank: Bank) -> None:
    opened = await a_loan(bank)
    request = monitor(opened, slip_percent="60", check_every_s=1)
    bank.refusals.steps[f"close_position/{request.id}-1/withdraw_position"] = "pool_paused"

    ended = await bank.run("position_monitor", request)

    assert ended.result["outcome"] == "liquidated"
    assert (await bank.outcome(f"close_position/{request.id}-1")).code == "pool_paused"
    assert ended.types.count(WARNING) == 1
    assert (await bank.row(PositionRow, opened.position_id)).status == "closed"


async def test_its_history_stays_short_however_long_it_runs(bank: Bank) -> None:
    opened = await a_loan(bank)
    request = monitor(opened, slip_percent="40", looks_per_run=5, check_every_s=1)
    handle = await bank.start("position_monitor", request)
    lengths: dict[str, int] = {}

    async def third_run() -> bool:
        described = await bank.temporal.get_workflow_handle(handle.id).describe()
        lengths[described.run_id] = max(lengths.get(described.run_id, 0), described.history_length)
        return len(lengths) >= 3

    await until(third_run)
    await handle.signal("move_price", PriceMove("60"))
    current = bank.temporal.get_workflow_handle(handle.id)
    await current.result()
    ended = await bank.outcome(handle.id)

    assert max(lengths.values()) < 5 * 20
    assert ended.types.count("workflow.started") == 1
    assert ended.types.count(WARNING) == 1, "what it told in an earlier run it does not tell again"
    assert ended.result["outcome"] == "liquidated"


async def test_a_position_that_borrowed_nothing_is_not_watched(bank: Bank) -> None:
    account = await bank.account("100.00 USDC")
    supplied = OpenPositionRequest(id=new_uuid(), account_uuid=account, amount="10.00")
    await bank.run("open_position", supplied)

    ended = await bank.run("position_monitor", monitor(supplied))

    assert ended.code == "position_has_no_debt"


async def test_a_position_that_is_not_there_is_not_watched(bank: Bank) -> None:
    request = MonitorPositionRequest(id=new_uuid(), position_id="pos_none")

    assert (await bank.run("position_monitor", request)).code == "position_not_found"


@pytest.mark.parametrize(
    ("health", "warned", "expected"),
    [
        ("2.40", False, Judgement(warn=False, liquidate=False, warned=False)),
        ("1.50", False, Judgement(warn=False, liquidate=False, warned=False)),
        ("1.49", False, Judgement(warn=True, liquidate=False, warned=True)),
        ("1.49", True, Judgement(warn=False, liquidate=False, warned=True)),
        ("1.59", True, Judgement(warn=False, liquidate=False, warned=True)),
        ("1.60", True, Judgement(warn=False, liquidate=False, warned=False)),
        ("1.00", True, Judgement(warn=False, liquidate=False, warned=True)),
        ("0.99", True, Judgement(warn=False, liquidate=True, warned=True)),
        ("0.99", False, Judgement(warn=True, liquidate=True, warned=True)),
    ],
)
def test_what_a_look_leads_to(health: str, warned: bool, expected: Judgement) -> None:
    assert judge(Decimal(health), warned=warned) == expected


async def a_loan(bank: Bank) -> OpenPositionRequest:
    """Of 1,000 USDC against 1 ETH, worth 3,000: a health factor of 2.40."""
    request = OpenPositionRequest(
        id=new_uuid(),
        account_uuid=await bank.account("1.00 ETH"),
        type="borrow",
        amount="1.00",
        asset_code="ETH",
        borrow_amount="1000.00",
        borrow_asset="USDC",
    )
    assert (await bank.run("open_position", request)).state == "completed"
    return request


def monitor(
    opened: OpenPositionRequest, *, slip_percent: str = "0", **fields: Any
) -> MonitorPositionRequest:
    sandbox = {"close": Faults(slip_percent=slip_percent)}
    request = MonitorPositionRequest(
        id=new_uuid(), position_id=opened.position_id, check_every_s=600, sandbox=sandbox
    )
    return replace(request, **fields)


async def watch(bank: Bank, opened: OpenPositionRequest) -> WorkflowHandle[Any, Any]:
    handle = await bank.start("position_monitor", monitor(opened))
    await bank.until_begun(handle.id)
    return handle


async def move_price(
    bank: Bank, handle: WorkflowHandle[Any, Any], slip_percent: str, *, warnings: int
) -> None:
    """Move it, and wait until the monitor has looked."""
    looks = await looked(handle)
    await handle.signal("move_price", PriceMove(slip_percent))

    async def has_looked() -> bool:
        return await looked(handle) > looks

    await until(has_looked)

    async def has_warned() -> bool:
        return (await bank.outcome(handle.id)).types.count(WARNING) >= warnings

    await until(has_warned)
    assert (await bank.outcome(handle.id)).types.count(WARNING) == warnings


async def looked(handle: WorkflowHandle[Any, Any]) -> int:
    """How often it has waited for its timer: once after every look."""
    history = await handle.fetch_history()
    return sum(event.HasField("timer_started_event_attributes") for event in history.events)
