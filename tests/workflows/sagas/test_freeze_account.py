import pytest

from domain.account import FreezeAccountRequest, UnfreezeAccountRequest
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from storage.ledger_tables import Account
from storage.tables import Transfer
from tests.workflows.sagas.bank import Bank


async def test_a_frozen_account_is_told_with_who_authorised_it(bank: Bank) -> None:
    account = await bank.account("10.00 USD")

    ended = await bank.run(
        "freeze_account",
        FreezeAccountRequest(account_uuid=account, source="compliance", case_id="case_1"),
        reason="several transfers just below the threshold",
        authorized_by="compliance officer 7",
    )

    assert ended.state == "completed"
    told = ended.told("account.frozen")
    assert told["reason"] == "several transfers just below the threshold"
    assert (told["authorized_by"], told["source"]) == ("compliance officer 7", "compliance")
    row = await bank.row(Account, account)
    assert (row.status, row.frozen_reason) == ("frozen", told["reason"])


async def test_no_money_leaves_a_frozen_account(bank: Bank) -> None:
    account, other = await bank.account("10.00 USD"), await bank.account()
    await bank.run("freeze_account", FreezeAccountRequest(account_uuid=account))

    out = TransferRequest(from_account=account, to_account=other, amount="1.00")
    ended = await bank.run("transfer", out)

    assert ended.code == "account_frozen"
    assert await bank.balance(account) == ("10.00", "0.00")


async def test_freezing_calls_off_what_was_about_to_leave(bank: Bank) -> None:
    account, other = await bank.account("10.00 USD"), await bank.account()
    slow = {"rail": Faults(confirm_after_ms=60_000)}
    pending = TransferRequest(
        id=f"pending-{account}",
        from_account=account,
        to_account=other,
        amount="1.00",
        rail="sandbox",
        sandbox=slow,
    )
    handle = await bank.start("transfer", pending)
    await bank.until_state(Transfer, pending.id, "pending")

    froze = await bank.run("freeze_account", FreezeAccountRequest(account_uuid=account))
    called_off = await bank.end_of(handle)

    assert froze.result["called_off"] == [f"transfer/{pending.id}"]
    assert (called_off.state, called_off.code) == ("cancelled", "cancelled")
    assert called_off.told("transfer.failed")["compensated"] is True
    assert await bank.balance(account) == ("10.00", "0.00")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("frozen", "account_already_frozen"),
        ("closed", "account_closed"),
        ("pending", "account_not_active"),
    ],
)
async def test_only_an_active_account_is_frozen(bank: Bank, status: str, code: str) -> None:
    account = await bank.account(status=status)

    ended = await bank.run("freeze_account", FreezeAccountRequest(account_uuid=account))

    assert ended.code == code
    assert "account.frozen" not in ended.types


async def test_an_account_nobody_has_is_not_found(bank: Bank) -> None:
    ended = await bank.run("freeze_account", FreezeAccountRequest(account_uuid="nobody-s"))

    assert ended.code == "account_not_found"


async def test_a_freeze_that_fails_takes_its_flag_back(bank: Bank) -> None:
    account = await bank.account()

    request = FreezeAccountRequest(account_uuid=account)
    ended = await bank.run("freeze_account", request, refuse="record_freeze")

    assert ended.steps["place_freeze"] == "undone"
    assert (await bank.row(Account, account)).status == "active"
    again = await bank.run("freeze_account", FreezeAccountRequest(account_uuid=account))
    assert again.state == "completed"


async def test_unfreezing_tells_of_the_freeze_it_ends(bank: Bank) -> None:
    account = await bank.account()
    freeze = FreezeAccountRequest(account_uuid=account, source="compliance", case_id="case_2")
    froze = await bank.run("freeze_account", freeze)

    request = UnfreezeAccountRequest(account_uuid=account)
    ended = await bank.run("unfreeze_account", request, reason="closed without findings")

    told = ended.told("account.unfrozen")
    assert told["reason"] == "closed without findings"
    assert (told["source"], told["case_id"]) == ("compliance", "case_2")
    assert told["frozen_at"] == froze.told("account.frozen")["frozen_at"]
    assert told["frozen_duration_seconds"] >= 0
    assert (await bank.row(Account, account)).frozen_at is None


async def test_an_account_frozen_by_hand_can_be_unfrozen(bank: Bank) -> None:
    account = await bank.account(status="frozen")

    ended = await bank.run("unfreeze_account", UnfreezeAccountRequest(account_uuid=account))

    assert ended.told("account.unfrozen")["reason"] == "review_closed"


async def test_what_is_not_frozen_is_not_unfrozen(bank: Bank) -> None:
    account = await bank.account()

    ended = await bank.run("unfreeze_account", UnfreezeAccountRequest(account_uuid=account))

    assert ended.code == "account_not_frozen"


async def test_an_unfreezing_that_fails_leaves_the_account_as_frozen_as_it_was(bank: Bank) -> None:
    account = await bank.account()
    await bank.run("freeze_account", FreezeAccountRequest(account_uuid=account), reason="fraud")

    request = UnfreezeAccountRequest(account_uuid=account)
    ended = await bank.run("unfreeze_account", request, refuse="record_unfreeze")

    assert ended.state == "failed"
    row = await bank.row(Account, account)
    assert (row.status, row.frozen_reason) == ("frozen", "fraud")
    again = await bank.run("unfreeze_account", UnfreezeAccountRequest(account_uuid=account))
    assert again.state == "completed"
