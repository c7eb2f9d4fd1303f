import asyncio
from typing import Any

from domain.bulk_transfer import BulkItem, BulkTransferRequest
from domain.ids import new_uuid
from domain.sandbox import Faults
from storage.bulk_tables import BulkTransfer
from storage.ledger_tables import Account
from storage.tables import SagaRun, Transfer
from tests.workflows.sagas.bank import Bank, until


async def test_every_item_is_a_transfer_that_can_be_found(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00", "20.00", "30.00")

    ended = await bank.run("bulk_transfer", bulk, references=["rent", None, "salary"])

    assert ended.result["completed"] == 3
    rows = [await bank.row(Transfer, f"{bulk.id}-{number}") for number in (1, 2, 3)]
    assert [(row.status, row.reference) for row in rows] == [
        ("completed", "rent"),
        ("completed", None),
        ("completed", "salary"),
    ]
    assert await bank.balance(bulk.from_account) == ("39.70", "0.00")  # Half a percent is the fee.
    row = await bank.row(BulkTransfer, bulk.id)
    assert (row.status, row.completed_items, row.total_minor) == ("completed", 3, 6_000)


async def test_all_or_nothing_pays_back_what_was_paid_with_the_fees(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00", "20.00", "500.00", at_once=1)

    ended = await bank.run("bulk_transfer", bulk)

    assert ended.code == "insufficient_funds"
    assert await bank.balance(bulk.from_account) == ("100.00", "0.00")
    for item in bulk.items:
        assert await bank.balance(item.to_account) == ("0.00", "0.00")
    undone = ended.told("workflow.compensation_executed")
    assert [one["action"] for one in undone["compensation_actions"]] == ["reverse_transfer"] * 2
    assert undone["compensation_actions"][0]["amount_reversed"] == "20.00"
    first = await bank.row(Transfer, f"{bulk.id}-1")
    assert (first.status, first.reversed_by) == ("reversed", f"{bulk.id}-1-back")


async def test_what_never_began_is_said_to_have_failed(bank: Bank) -> None:
    bulk = await a_bulk(bank, "500.00", "10.00", "10.00", at_once=1)

    await bank.run("bulk_transfer", bulk)

    last = await bank.row(Transfer, f"{bulk.id}-3")
    assert (last.status, last.failure["code"]) == ("failed", "insufficient_funds")
    assert await bank.row(SagaRun, f"transfer/{bulk.id}-3") is None


async def test_best_effort_makes_what_can_be_made(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00", "500.00", "20.00", policy="best_effort")

    ended = await bank.run("bulk_transfer", bulk)

    assert (ended.state, ended.result["completed"], ended.result["failed"]) == ("completed", 2, 1)
    assert ended.result["items"] == {
        f"{bulk.id}-1": "completed",
        f"{bulk.id}-2": "insufficient_funds",
        f"{bulk.id}-3": "completed",
    }
    assert "workflow.compensation_executed" not in ended.types


async def test_best_effort_that_could_do_nothing_has_failed(bank: Bank) -> None:
    """Flaw of the product: sagas that swallow the error and end *completed*."""
    bulk = await a_bulk(bank, "500.00", "600.00", policy="best_effort")

    ended = await bank.run("bulk_transfer", bulk)

    assert (ended.state, ended.code) == ("failed", "insufficient_funds")
    assert (await bank.row(BulkTransfer, bulk.id)).status == "failed"


async def test_a_recipient_that_is_closed_fails_its_own_item(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00", "10.00", policy="best_effort")
    await bank.change(Account, bulk.items[0].to_account, status="closed")

    ended = await bank.run("bulk_transfer", bulk)

    assert ended.result["items"][f"{bulk.id}-1"] == "account_closed"


async def test_progress_can_be_asked_while_it_runs_and_no_more_run_than_allowed(
    bank: Bank,
) -> None:
    slow = {"rail": Faults(confirm_after_ms=60_000)}
    bulk = await a_bulk(bank, "1.00", "1.00", "1.00", rail="sandbox", sandbox=slow, at_once=2)
    handle = await bank.start("bulk_transfer", bulk)

    async def two_run() -> bool:
        return list((await handle.query("items"))["items"].values()).count("running") == 2

    await until(two_run)
    await asyncio.sleep(0.2)
    view = await handle.query("items")
    await handle.cancel()
    ended = await bank.end_of(handle)

    assert (view["total"], view["completed"]) == (3, 0)
    assert view["items"][f"{bulk.id}-3"] == "waiting"
    assert ended.state == "cancelled"
    assert await bank.balance(bulk.from_account) == ("100.00", "0.00")


async def test_a_bulk_transfer_that_fails_at_its_end_is_paid_back(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00", "20.00")

    ended = await bank.run("bulk_transfer", bulk, refuse="close_bulk")

    assert ended.state == "failed"
    assert await bank.balance(bulk.from_account) == ("100.00", "0.00")


async def test_items_with_ids_of_other_transfers_are_refused(bank: Bank) -> None:
    bulk = await a_bulk(bank, "10.00")
    taken = await bank.account()
    await bank.add(
        Transfer(
            id=f"{bulk.id}-1",
            tenant_id="ten_test",
            from_account=taken,
            to_account=taken,
            amount_minor=1,
            asset_code="USD",
            workflow_id="transfer/other",
        )
    )

    ended = await bank.run("bulk_transfer", bulk)

    assert ended.code == "duplicate_request"


async def a_bulk(bank: Bank, *amounts: str, **fields: Any) -> BulkTransferRequest:
    """From an account that has 100.00 USD."""
    items = [BulkItem(to_account=await bank.account(), amount=amount) for amount in amounts]
    source = await bank.account("100.00 USD")
    return BulkTransferRequest(id=new_uuid(), from_account=source, items=tuple(items), **fields)
