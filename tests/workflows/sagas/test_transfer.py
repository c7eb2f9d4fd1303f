import asyncio
from typing import Any

import pytest

from domain.account_limits import AssetLimits, limits_to_row
from domain.ids import new_uuid
from domain.operate import Approval
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from storage.account_tables import AccountHolder
from storage.ledger_tables import Account
from storage.tables import Transfer
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank


async def test_a_completed_transfer_is_told_with_the_products_field_names(bank: Bank) -> None:
    request = await a_transfer(bank)

    ended = await bank.run("transfer", request)

    told = ended.told("transfer.completed")
    assert told.keys() >= {
        "uuid",
        "from_account",
        "to_account",
        "amount",
        "asset_code",
        "status",
        "reference",
        "workflow_id",
        "fees",
        "completed_at",
    }
    assert told["fees"].keys() >= {"transfer_fee", "currency"}
    assert (told["amount"], told["status"]) == ("50.00", "completed")
    assert told["workflow_id"] == ended.workflow_id


async def test_a_changed_balance_is_told_with_the_products_field_names(bank: Bank) -> None:
    request = await a_transfer(bank)

    ended = await bank.run("transfer", request)

    [incoming] = [
        told
        for told in ended.told_all("account.balance_updated")
        if told["account_uuid"] == request.to_account
    ]
    assert incoming.keys() >= {
        "account_uuid",
        "asset_code",
        "previous_balance",
        "new_balance",
        "change_amount",
        "change_reason",
        "related_transaction",
    }
    assert (incoming["previous_balance"], incoming["new_balance"]) == ("0.00", "50.00")
    assert incoming["change_reason"] == "incoming_transfer"


async def test_a_failed_workflow_is_told_with_the_products_field_names(bank: Bank) -> None:
    ended = await bank.run("transfer", await a_transfer(bank, amount="100.50"))

    told = ended.told("workflow.failed")
    assert told.keys() >= {
        "workflow_id",
        "workflow_type",
        "failed_step",
        "failure_reason",
        "error_details",
        "compensation_triggered",
    }
    assert told["error_details"].keys() >= {
        "code",
        "message",
        "required_amount",
        "available_amount",
    }
    assert (told["failed_step"], told["failure_reason"]) == ("hold_source", "insufficient_funds")
    assert told["error_details"]["required_amount"] == "100.50"
    assert told["error_details"]["available_amount"] == "100.00"


async def test_a_compensation_is_told_with_the_products_field_names(bank: Bank) -> None:
    sandbox = {"rail": Faults(refuse="rail_unavailable")}
    ended = await bank.run("transfer", await a_transfer(bank, rail="sandbox", sandbox=sandbox))

    told = ended.told("workflow.compensation_executed")
    assert told.keys() >= {
        "workflow_id",
        "workflow_type",
        "failed_step",
        "failure_reason",
        "compensation_actions",
        "compensation_completed_at",
    }
    [action] = told["compensation_actions"]
    assert action.keys() >= {"action", "status", "amount_reversed", "asset_code"}
    assert (action["action"], action["status"]) == ("release_source", "completed")
    assert (action["amount_reversed"], action["asset_code"]) == ("50.25", "USD")


async def test_events_come_in_causal_order_and_the_end_comes_last_and_once(bank: Bank) -> None:
    """Flaw of the product: status polling that repeats `completed` events."""
    sandbox = {"rail": Faults(confirm_after_ms=1_100)}
    ended = await bank.run("transfer", await a_transfer(bank, rail="sandbox", sandbox=sandbox))

    assert [told for told in ended.types if told.startswith(("transfer.", "workflow."))] == [
        "workflow.started",
        "transfer.created",
        *["workflow.step_completed"] * 2,
        "transfer.pending",
        *["workflow.step_completed"] * 2,
        "transfer.completed",
        *["workflow.step_completed"] * 2,
        "workflow.completed",
    ]


async def test_balances_are_checked_in_the_workflow(bank: Bank) -> None:
    """Flaw of the product: balances checked before the workflow but not in it."""
    source = await bank.account("100.00 USD")
    requests = [await a_transfer(bank, from_account=source, amount="60.00") for _ in range(2)]

    started = await asyncio.gather(*(bank.start("transfer", request) for request in requests))
    ended = [await bank.end_of(handle) for handle in started]

    assert sorted(one.state for one in ended) == ["completed", "failed"]
    assert [one.code for one in ended if one.failure] == ["insufficient_funds"]


async def test_a_transfer_that_posts_an_id_is_found_by_it(bank: Bank) -> None:
    """Flaw of the product: an id returned by POST that GET never finds."""
    request = await a_transfer(bank)

    await bank.run("transfer", request)

    row = await bank.row(Transfer, request.id)
    assert (row.status, row.workflow_id) == ("completed", f"transfer/{request.id}")


async def test_an_acknowledgement_that_was_lost_is_still_undone(bank: Bank) -> None:
    """Flaw of the product: compensation registered after the step (an ack lost = never undone)."""
    sandbox = {"rail": Faults(lose_answer=5)}
    request = await a_transfer(
        bank, rail="sandbox", sandbox=sandbox, expires_in_s=2, amount="50.00"
    )

    ended = await bank.run("transfer", request)

    assert ended.state == "timed_out"
    [recall] = [
        one
        for one in ended.told("workflow.compensation_executed")["compensation_actions"]
        if one["action"] == "recall_from_rail"
    ]
    assert recall["amount_reversed"] == "50.00"
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


async def test_a_transfer_whose_window_passes_expires_and_releases_its_hold(bank: Bank) -> None:
    sandbox = {"rail": Faults(confirm_after_ms=60_000)}
    request = await a_transfer(bank, rail="sandbox", sandbox=sandbox, expires_in_s=1)

    ended = await bank.run("transfer", request)

    assert ended.told("transfer.expired")["held_amount_released"] == "50.25"
    assert "transfer.failed" not in ended.types
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


# Refusals


@pytest.mark.parametrize("side", ["from_account", "to_account"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("frozen", "account_frozen"),
        ("closed", "account_closed"),
        ("pending", "account_not_active"),
    ],
)
async def test_both_accounts_must_be_active(bank: Bank, side: str, status: str, code: str) -> None:
    account = await bank.account("100.00 USD", status=status)
    request = await a_transfer(bank, **{side: account})

    ended = await bank.run("transfer", request)

    assert ended.code == code
    assert ended.failure["details"] == {"account_uuid": account}


async def test_an_account_nobody_has_is_not_found(bank: Bank) -> None:
    ended = await bank.run("transfer", await a_transfer(bank, to_account="nobody-s"))

    assert ended.code == "account_not_found"


async def test_more_than_the_limit_at_once_is_refused(bank: Bank) -> None:
    source = await limited(bank, per_transfer_minor=2_000)

    ended = await bank.run("transfer", await a_transfer(bank, from_account=source, amount="20.01"))

    assert ended.code == "limit_exceeded"
    assert ended.failure["details"]["limit"] == "per_transfer"
    assert await bank.balance(source) == ("100.00", "0.00")


async def test_more_than_the_limit_in_a_day_is_refused(bank: Bank) -> None:
    source = await limited(bank, per_day_minor=5_000)
    first = await bank.run("transfer", await a_transfer(bank, from_account=source, amount="30.00"))

    second = await bank.run("transfer", await a_transfer(bank, from_account=source, amount="20.01"))
    third = await bank.run("transfer", await a_transfer(bank, from_account=source, amount="20.00"))

    assert (first.state, third.state) == ("completed", "completed")
    assert second.failure["details"]["limit"] == "per_day"


async def test_an_account_frozen_while_a_transfer_waits_keeps_its_money(bank: Bank) -> None:
    request = await a_transfer(bank, requires_approval=True)
    handle = await bank.start("transfer", request)
    await bank.until_step(handle, "transfer", "asked")
    await bank.change(Account, request.from_account, status="frozen")
    await approve(handle)

    ended = await bank.end_of(handle)

    assert ended.code == "account_frozen"
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


# Approval


async def test_a_transfer_that_needs_a_person_waits_for_one(bank: Bank) -> None:
    request = await a_transfer(bank, requires_approval=True)
    handle = await bank.start("transfer", request)
    await bank.until_step(handle, "transfer", "asked")
    held = await bank.balance(request.from_account)
    await approve(handle)

    ended = await bank.end_of(handle)

    assert held == ("100.00", "50.25")
    assert ended.state == "completed"
    told = ended.told("transfer.pending")
    assert (told["reason"], told["status"]) == ("approval", "pending")


async def test_an_accounts_limits_say_which_amounts_need_a_person(bank: Bank) -> None:
    source = await limited(bank, approval_above_minor=3_000)

    small = await bank.run("transfer", await a_transfer(bank, from_account=source, amount="30.00"))
    handle = await bank.start(
        "transfer", await a_transfer(bank, from_account=source, amount="30.01")
    )
    await bank.until_step(handle, "transfer", "asked")
    await approve(handle)
    large = await bank.end_of(handle)

    assert "transfer.pending" not in small.types
    assert large.told("transfer.pending")["reason"] == "approval"


async def test_a_transfer_that_a_person_rejects_is_given_back(bank: Bank) -> None:
    request = await a_transfer(bank, requires_approval=True)
    handle = await bank.start("transfer", request)
    await bank.until_step(handle, "transfer", "asked")
    await approve(handle, approved=False)

    ended = await bank.end_of(handle)

    assert ended.told("transfer.failed")["failure_reason"] == "approval_rejected"
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


async def test_a_transfer_that_nobody_answers_for_is_given_back(bank: Bank) -> None:
    request = await a_transfer(bank, requires_approval=True, approval_within_s=1)

    ended = await bank.run("transfer", request)

    assert ended.code == "approval_timeout"
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


# The travel rule


async def test_a_large_transfer_of_known_people_is_checked_and_made(bank: Bank) -> None:
    request = await a_large_transfer(bank)

    ended = await bank.run("transfer", request)

    assert ended.state == "completed"
    assert "clear_transfer" in ended.told("workflow.started")["steps_planned"]
    check = await bank.outcome(f"travel_rule_check/{request.id}")
    assert check.told("travel_rule.check.completed")["transfer_id"] == request.id


async def test_a_small_transfer_is_not_checked(bank: Bank) -> None:
    ended = await bank.run("transfer", await a_transfer(bank))

    assert "clear_transfer" not in ended.told("workflow.started")["steps_planned"]


@pytest.mark.parametrize(
    ("sandbox", "known", "code"),
    [
        ({"sanctions": Faults(refuse="sanctions_hit")}, True, "sanctions_hit"),
        ({}, False, "missing_travel_rule_data"),
        ({"sanctions": Faults(refuse="sanctions_away")}, True, "sanctions_away"),
    ],
)
async def test_a_large_transfer_that_may_not_be_made_moves_no_money(
    bank: Bank, sandbox: dict[str, Faults], known: bool, code: str
) -> None:
    request = await a_large_transfer(bank, known=known, sandbox=sandbox)

    ended = await bank.run("transfer", request)

    failed = ended.told("transfer.failed")
    assert (failed["failed_step"], failed["failure_reason"]) == ("clear_transfer", code)
    assert "account.balance_updated" not in ended.types


async def test_cancelling_a_transfer_cancels_its_check(bank: Bank) -> None:
    request = await a_large_transfer(bank, sandbox={"sanctions": Faults(delay_ms=3_000)})
    handle = await bank.start("transfer", request)
    await bank.until_begun(f"travel_rule_check/{request.id}")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert (ended.state, ended.code) == ("cancelled", "cancelled")
    check = await bank.outcome(f"travel_rule_check/{request.id}")
    assert check.state == "cancelled"


# Compensation


async def test_a_transfer_that_fails_at_its_pivot_is_undone_whole(bank: Bank) -> None:
    request = await a_transfer(bank, rail="sandbox")

    ended = await bank.run("transfer", request, refuse="settle_transfer")

    assert ended.steps == {
        "open_transfer": "undone",
        "hold_source": "undone",
        "submit_to_rail": "undone",
        "await_rail": "done",
    }
    assert ended.told("transfer.failed")["compensated"] is True
    assert await bank.balance(request.from_account) == ("100.00", "0.00")


async def test_a_saga_that_failed_does_not_end_completed(bank: Bank) -> None:
    """Flaw of the product: sagas that swallow the error and end *completed*."""
    handle = await bank.start("transfer", await a_transfer(bank, amount="5000.00"))
    ended = await bank.end_of(handle)

    status = (await handle.describe()).status
    assert (ended.state, status and status.name) == ("failed", "FAILED")
    assert "workflow.completed" not in ended.types


async def a_transfer(bank: Bank, **fields: Any) -> TransferRequest:
    """Of 50.00 USD, from an account that has 100.00."""
    accounts = {
        "from_account": fields.pop("from_account", None) or await bank.account("100.00 USD"),
        "to_account": fields.pop("to_account", None) or await bank.account(),
    }
    return TransferRequest(id=new_uuid(), **{"amount": "50.00"} | accounts | fields)


async def a_large_transfer(bank: Bank, *, known: bool = True, **fields: Any) -> TransferRequest:
    source, target = await bank.account("9000.00 USD"), await bank.account()
    for account in (source, target) if known else ():
        row = await bank.row(Account, account)
        holder = AccountHolder(
            tenant_id=TENANT, user_uuid=row.user_uuid, full_name="N", address="A", provider="test"
        )
        await bank.add(holder)
    return await a_transfer(
        bank, from_account=source, to_account=target, amount="4200.00", **fields
    )


async def limited(bank: Bank, **limits: int) -> str:
    return await bank.account("100.00 USD", limits=limits_to_row({"USD": AssetLimits(**limits)}))


async def approve(handle: Any, *, approved: bool = True) -> None:
    await handle.execute_update("approve", Approval(approved=approved, by="officer 7"))
