import pytest

from domain.account import OpenAccountRequest
from domain.account_limits import AssetLimits
from domain.ids import new_uuid
from domain.sandbox import Faults
from storage.account_tables import AccountHolder
from storage.ledger_tables import Account
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank


async def test_an_account_is_opened_with_its_first_money_and_told_whole(bank: Bank) -> None:
    request = an_account(initial_balance_minor=50_000)

    ended = await bank.run("open_account", request)

    told = ended.told("account.created")
    assert (told["account_uuid"], told["status"]) == (request.id, "active")
    assert told["balances"][0]["total_balance"] == "500.00"
    assert await bank.balance(request.id) == ("500.00", "0.00")


async def test_its_owner_is_verified_and_known_from_then_on(bank: Bank) -> None:
    request = an_account()

    handle = await bank.start("open_account", request)
    await bank.end_of(handle)

    holder = await bank.row(AccountHolder, (TENANT, request.user_uuid))
    assert holder.provider == "sandbox"
    assert holder.full_name not in (await handle.fetch_history()).to_json()


async def test_limits_are_there_before_the_account_is_used(bank: Bank) -> None:
    request = an_account(limits={"USD": AssetLimits(per_day_minor=100)})

    ended = await bank.run("open_account", request)

    assert (await bank.row(Account, request.id)).limits == {"USD": {"per_day_minor": 100}}
    order = ended.types.index("account.created")
    assert order == len(ended.types) - 3, "told last, before its step and the end"


async def test_without_limits_and_money_there_are_no_steps_for_them(bank: Bank) -> None:
    ended = await bank.run("open_account", an_account())

    assert ended.told("workflow.started")["steps_planned"] == [
        "create_account",
        "verify_owner",
        "activate_account",
    ]


async def test_an_owner_who_is_not_known_gets_no_account(bank: Bank) -> None:
    request = an_account(initial_balance_minor=100, sandbox={"kyc": Faults(refuse="kyc_required")})

    ended = await bank.run("open_account", request)

    assert ended.code == "kyc_required"
    assert "account.created" not in ended.types
    assert (await bank.row(Account, request.id)).status == "closed"


async def test_a_kyc_provider_that_does_not_answer_is_asked_again(bank: Bank) -> None:
    request = an_account(sandbox={"kyc": Faults(unavailable=1)})

    ended = await bank.run("open_account", request)

    assert ended.state == "completed"


async def test_an_opening_that_fails_leaves_the_account_closed_and_empty(bank: Bank) -> None:
    request = an_account(
        initial_balance_minor=50_000, limits={"USD": AssetLimits(per_day_minor=100)}
    )

    ended = await bank.run("open_account", request, refuse="activate_account")

    assert set(ended.steps.values()) == {"done", "undone"}
    row = await bank.row(Account, request.id)
    assert (row.status, row.limits) == ("closed", {})
    assert await bank.balance(request.id) == ("0.00", "0.00")
    actions = ended.told("workflow.compensation_executed")["compensation_actions"]
    assert [one["action"] for one in actions] == [
        "withdraw_deposit",
        "remove_limits",
        "discard_account",
    ]
    assert actions[0]["amount_reversed"] == "500.00"


def test_an_asset_that_does_not_exist_is_refused_before_anything_starts() -> None:
    with pytest.raises(Exception, match="XXX"):
        an_account(limits={"XXX": AssetLimits()})


def an_account(**fields: object) -> OpenAccountRequest:
    return OpenAccountRequest(id=new_uuid(), user_uuid=new_uuid(), **fields)  # type: ignore[arg-type]
