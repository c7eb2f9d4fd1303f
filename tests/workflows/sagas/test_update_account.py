import pytest

from domain.account import UpdateAccountRequest
from domain.account_limits import AssetLimits
from storage.account_tables import AccountVersion
from storage.ledger_tables import Account
from tests.workflows.sagas.bank import Bank


async def test_a_change_is_told_with_what_was_before(bank: Bank) -> None:
    account = await bank.account(name="Operating account")

    request = UpdateAccountRequest(account_uuid=account, type="savings")
    ended = await bank.run("update_account", request, name="Operating account, Europe")

    told = ended.told("account.updated")
    assert told["changed_fields"] == ["name", "type"]
    assert told["previous"] == {"name": "Operating account", "type": "checking"}
    assert told["current"] == {"name": "Operating account, Europe", "type": "savings"}
    assert told["updated_by"] == "key_test"
    row = await bank.row(Account, account)
    assert (row.name, row.type, row.version) == ("Operating account, Europe", "savings", 2)


async def test_limits_and_metadata_can_be_changed(bank: Bank) -> None:
    account = await bank.account()

    limits = {"USD": AssetLimits(per_transfer_minor=10_000)}
    request = UpdateAccountRequest(account_uuid=account, limits=limits)
    ended = await bank.run("update_account", request, metadata={"branch": "Zug"})

    assert ended.told("account.updated")["changed_fields"] == ["limits", "metadata"]
    row = await bank.row(Account, account)
    assert row.limits == {"USD": {"per_transfer_minor": 10_000}}
    assert row.account_metadata == {"branch": "Zug"}


async def test_a_name_never_reaches_the_engine(bank: Bank) -> None:
    account = await bank.account()

    handle = await bank.start(
        "update_account", UpdateAccountRequest(account_uuid=account), name="Ada"
    )
    await bank.end_of(handle)

    history = (await handle.fetch_history()).to_json()
    assert "Ada" not in history


@pytest.mark.parametrize(
    ("status", "type", "code"),
    [("closed", "savings", "account_closed"), ("active", "checking", "account_state_conflict")],
)
async def test_refuses_a_closed_account_and_a_change_of_nothing(
    bank: Bank, status: str, type: str, code: str
) -> None:
    account = await bank.account(status=status)

    ended = await bank.run("update_account", UpdateAccountRequest(account_uuid=account, type=type))

    assert ended.code == code


async def test_a_change_that_fails_is_restored_as_a_version_of_its_own(bank: Bank) -> None:
    account = await bank.account(name="Before")

    request = UpdateAccountRequest(account_uuid=account)
    ended = await bank.run("update_account", request, refuse="confirm_version", name="After")

    assert "account.updated" not in ended.types
    row = await bank.row(Account, account)
    assert (row.name, row.version) == ("Before", 3)
    restored = await bank.row(AccountVersion, (account, 3))
    assert (restored.previous, restored.current) == ({"name": "After"}, {"name": "Before"})
