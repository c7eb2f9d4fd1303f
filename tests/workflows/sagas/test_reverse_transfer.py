from datetime import timedelta

from domain.ids import new_uuid
from domain.reversal import REVERSAL_WINDOW, ReverseTransferRequest
from domain.transfer import TransferRequest
from storage.ledger_tables import Account
from storage.tables import Transfer
from storage.types import utc_now
from tests.workflows.sagas.bank import Bank


async def test_a_completed_transfer_is_paid_back_and_both_know_of_each_other(bank: Bank) -> None:
    original = await completed(bank)

    request = ReverseTransferRequest(id=new_uuid(), transfer_uuid=original.id)
    ended = await bank.run(
        "reverse_transfer", request, reason="sent to the wrong account", authorized_by="Eve"
    )

    assert await bank.balance(original.to_account) == ("0.00", "0.00")
    assert await bank.balance(original.from_account) == ("99.75", "0.00")
    told = ended.told("transfer.reversed")
    assert (told["uuid"], told["original_transfer_uuid"]) == (original.id, original.id)
    assert told["reversal_transfer_uuid"] == request.id
    assert (told["reversal_reason"], told["authorized_by"]) == ("sent to the wrong account", "Eve")
    first, second = await bank.row(Transfer, original.id), await bank.row(Transfer, request.id)
    assert (first.status, first.reversed_by) == ("reversed", request.id)
    assert (second.status, second.from_account) == ("completed", original.to_account)


async def test_the_fee_is_refunded_where_that_is_asked(bank: Bank) -> None:
    original = await completed(bank)

    request = ReverseTransferRequest(transfer_uuid=original.id, refund_fee=True)
    await bank.run("reverse_transfer", request)

    assert await bank.balance(original.from_account) == ("100.00", "0.00")


async def test_a_recipient_who_has_spent_it_is_refused_and_nothing_has_to_be_undone(
    bank: Bank,
) -> None:
    """Flaw of the product: a reversal that takes from who has spent it, and fails for ever."""
    original = await completed(bank)
    onward = TransferRequest(
        from_account=original.to_account, to_account=await bank.account(), amount="40.00"
    )
    await bank.run("transfer", onward)

    request = ReverseTransferRequest(id=new_uuid(), transfer_uuid=original.id)
    ended = await bank.run("reverse_transfer", request)

    assert ended.code == "insufficient_funds"
    assert ended.told("workflow.failed")["compensation_triggered"] is False
    assert (await bank.row(Transfer, original.id)).status == "completed"
    assert (await bank.row(Transfer, request.id)).status == "failed"


async def test_a_transfer_is_reversed_once(bank: Bank) -> None:
    original = await completed(bank)
    await bank.fund(original.to_account, "100.00 USD")

    first = await bank.start("reverse_transfer", ReverseTransferRequest(transfer_uuid=original.id))
    second = await bank.start("reverse_transfer", ReverseTransferRequest(transfer_uuid=original.id))
    ended = [await bank.end_of(first), await bank.end_of(second)]

    assert sorted(one.state for one in ended) == ["completed", "failed"]
    [refused] = [one for one in ended if one.state == "failed"]
    assert refused.code == "transfer_not_reversible"
    assert await bank.balance(original.to_account) == ("100.00", "0.00")


async def test_what_did_not_complete_cannot_be_reversed(bank: Bank) -> None:
    source, target = await bank.account(), await bank.account()
    failed = TransferRequest(id=new_uuid(), from_account=source, to_account=target, amount="1.00")
    await bank.run("transfer", failed)

    ended = await bank.run("reverse_transfer", ReverseTransferRequest(transfer_uuid=failed.id))

    assert ended.code == "transfer_not_reversible"


async def test_what_is_too_old_cannot_be_reversed(bank: Bank) -> None:
    original = await completed(bank)
    long_ago = utc_now() - REVERSAL_WINDOW - timedelta(hours=1)
    await bank.change(Transfer, original.id, completed_at=long_ago)

    ended = await bank.run("reverse_transfer", ReverseTransferRequest(transfer_uuid=original.id))

    assert ended.code == "transfer_not_reversible"


async def test_a_transfer_that_nobody_made_cannot_be_reversed(bank: Bank) -> None:
    ended = await bank.run("reverse_transfer", ReverseTransferRequest(transfer_uuid="none"))

    assert ended.code == "transfer_not_found"


async def test_nothing_is_paid_back_to_a_closed_account(bank: Bank) -> None:
    original = await completed(bank)
    await bank.change(Account, original.from_account, status="closed")

    ended = await bank.run("reverse_transfer", ReverseTransferRequest(transfer_uuid=original.id))

    assert ended.code == "account_closed"


async def test_a_reversal_that_fails_gives_the_recipient_everything_back(bank: Bank) -> None:
    original = await completed(bank)

    request = ReverseTransferRequest(transfer_uuid=original.id)
    ended = await bank.run("reverse_transfer", request, refuse="pay_back")

    assert ended.steps == {"open_reversal": "undone", "hold_received": "undone"}
    assert await bank.balance(original.to_account) == ("50.00", "0.00")
    again = await bank.run("reverse_transfer", ReverseTransferRequest(transfer_uuid=original.id))
    assert again.state == "completed"


async def completed(bank: Bank) -> TransferRequest:
    """50.00 USD were sent from an account with 100.00: 49.75 are left there, after the fee."""
    request = TransferRequest(
        id=new_uuid(),
        from_account=await bank.account("100.00 USD"),
        to_account=await bank.account(),
        amount="50.00",
    )
    ended = await bank.run("transfer", request)
    assert ended.state == "completed"
    return request
