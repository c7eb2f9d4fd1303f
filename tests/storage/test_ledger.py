import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotActive,
    AccountNotFound,
    DuplicateRequest,
    InsufficientFunds,
    StepFenced,
)
from domain.ledger import Direction, HoldRequest, JournalEntry, Posting
from domain.money import Money
from runtime.database import Database
from storage import ledger
from storage.tables import Tenant
from tests.conftest import TENANT
from tests.storage.books import (
    CASH,
    balance,
    in_usd,
    open_account,
    place,
    post,
    release,
    settle,
    transfer,
    transfer_entry,
    usd,
)


async def test_a_transfer_moves_money_and_tells_what_changed(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")

    changes = await transfer(database, "t1", "a", "b", 300)

    told = {change.account_id: (change.previous_minor, change.posted_minor) for change in changes}
    assert told == {"a": (1_000, 700), "b": (0, 300)}
    assert [change.version for change in changes] == [2, 1]


async def test_posting_twice_is_posting_once(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")

    await transfer(database, "t1", "a", "b", 300)

    assert await transfer(database, "t1", "a", "b", 300) == []
    assert await balance(database, "a") == (700, 0)


async def test_the_same_id_with_other_postings_is_refused(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    await transfer(database, "t1", "a", "b", 300)

    with pytest.raises(DuplicateRequest, match="other postings"):
        await transfer(database, "t1", "a", "b", 301)

    assert await balance(database, "a") == (700, 0)


async def test_money_that_is_not_there_cannot_be_moved(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")

    with pytest.raises(InsufficientFunds) as refused:
        await transfer(database, "t1", "a", "b", 101)

    assert refused.value.details["available_minor"] == 100
    assert refused.value.details["required_minor"] == 101
    assert await balance(database, "a") == (100, 0)
    assert await balance(database, "b") == (0, 0)


async def test_held_money_is_there_but_cannot_be_spent(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)

    with pytest.raises(InsufficientFunds):
        await transfer(database, "t1", "a", "b", 41)
    with pytest.raises(InsufficientFunds):
        await place(database, "h2", "a", 41)

    assert await balance(database, "a") == (100, 60)


async def test_a_settled_hold_is_spent(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)

    await settle(database, "h1", "a", "b", 60)

    assert await balance(database, "a") == (40, 0)
    assert await balance(database, "b") == (60, 0)


async def test_settling_with_less_gives_the_rest_back(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)

    await settle(database, "h1", "a", "b", 50)

    assert await balance(database, "a") == (50, 0)


async def test_settling_with_more_than_is_held_is_a_bug(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)

    with pytest.raises(AssertionError, match="more than it holds"):
        await settle(database, "h1", "a", "b", 61)

    assert await balance(database, "a") == (100, 60)


async def test_a_released_hold_is_given_back_once(database: Database) -> None:
    await open_account(database, "a", 100)
    await place(database, "h1", "a", 60)

    first = await release(database, "h1", "a")
    second = await release(database, "h1", "a")

    assert first is not None
    assert (first.reserved_minor, first.available_minor) == (0, 100)
    assert second is None


async def test_a_hold_is_placed_once_and_another_under_its_id_is_refused(
    database: Database,
) -> None:
    await open_account(database, "a", 100)
    await place(database, "h1", "a", 60)

    assert await place(database, "h1", "a", 60) is None
    with pytest.raises(DuplicateRequest):
        await place(database, "h1", "a", 59)

    assert await balance(database, "a") == (100, 60)


async def test_a_hold_that_was_called_off_before_it_came_is_refused(database: Database) -> None:
    await open_account(database, "a", 100)

    assert await release(database, "h1", "a") is None
    with pytest.raises(StepFenced):
        await place(database, "h1", "a", 60)

    assert await balance(database, "a") == (100, 0)


async def test_a_hold_that_was_released_is_not_placed_again(database: Database) -> None:
    await open_account(database, "a", 100)
    await place(database, "h1", "a", 60)
    await release(database, "h1", "a")

    with pytest.raises(StepFenced):
        await place(database, "h1", "a", 60)

    assert await balance(database, "a") == (100, 0)


async def test_what_was_never_held_can_be_released_where_nothing_could_be_held(
    database: Database,
) -> None:
    await open_account(database, "a", 100)
    yen = "a/JPY"

    async def call_off(session: AsyncSession) -> None:
        for hold_id, where in [("h1", yen), ("h1", yen), ("h2", in_usd("nobody"))]:
            found = await ledger.release_hold(session, hold_id, where, tenant_id=TENANT)
            assert found is None

    await database.transact(call_off)
    request = HoldRequest("h1", yen, Money(1, "JPY"), TENANT)
    with pytest.raises(StepFenced):
        await database.transact(lambda session: ledger.place_hold(session, request))


async def test_what_was_spent_cannot_be_released(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)
    await settle(database, "h1", "a", "b", 60)

    with pytest.raises(DuplicateRequest, match="already settled"):
        await release(database, "h1", "a")

    assert await balance(database, "a") == (40, 0)


async def test_what_was_given_back_cannot_be_settled(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)
    await release(database, "h1", "a")

    with pytest.raises(DuplicateRequest, match="not placed: released"):
        await settle(database, "h1", "a", "b", 60)

    assert await balance(database, "a") == (100, 0)


async def test_settling_again_is_settling_once(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)
    await settle(database, "h1", "a", "b", 60)

    assert await settle(database, "h1", "a", "b", 60) == []
    with pytest.raises(DuplicateRequest, match="other postings"):
        await settle(database, "h1", "a", "b", 59)


async def test_one_hold_pays_for_one_entry(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")
    await place(database, "h1", "a", 60)
    await settle(database, "h1", "a", "b", 60)

    with pytest.raises(DuplicateRequest, match="not placed: settled"):
        await post(database, transfer_entry("another", "a", "b", 10), hold_id="h1")

    assert await balance(database, "a") == (40, 0)


async def test_a_hold_can_be_settled_only_from_its_own_account(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b", 100)
    await place(database, "h1", "a", 60)

    with pytest.raises(AssertionError, match="does not debit the account of hold"):
        await post(database, transfer_entry("t1", "b", "a", 60), hold_id="h1")

    assert await balance(database, "a") == (100, 60)
    assert await balance(database, "b") == (100, 0)


async def test_an_account_can_receive_an_asset_it_never_had(database: Database) -> None:
    await open_account(database, "a", 100)
    euros = Money(500, "EUR")
    legs = (
        Posting(f"{TENANT}:cash/EUR", Direction.DEBIT, euros),
        Posting("a/EUR", Direction.CREDIT, euros),
    )

    [own, cash] = await post(database, JournalEntry("e1", "deposit", legs))

    assert (own.account_id, own.posted_minor) == ("a", 500)
    assert (cash.account_id, cash.posted_minor) == (None, -500)


async def test_an_account_that_is_not_there_gets_nothing(database: Database) -> None:
    await open_account(database, "a", 100)

    with pytest.raises(AccountNotFound):
        await transfer(database, "t1", "a", "nobody", 10)
    with pytest.raises(AccountNotFound):
        await place(database, "h1", "nobody", 10)

    assert await balance(database, "a") == (100, 0)


async def test_no_tenant_moves_another_tenants_money(database: Database) -> None:
    await open_account(database, "a", 100)
    await add_tenant(database, "ten_other")
    await open_account(database, "b", 100, tenant_id="ten_other")
    theft = transfer_entry("t1", "a", "b", 10)
    theirs_on_ours = HoldRequest("h1", in_usd("a"), usd(10), "ten_other")

    for tenant_id in (TENANT, "ten_other"):
        with pytest.raises(AccountNotFound):
            await post(database, theft, tenant_id=tenant_id)
    with pytest.raises(AccountNotFound):
        await database.transact(lambda session: ledger.place_hold(session, theirs_on_ours))

    assert await balance(database, "a") == (100, 0)
    assert await balance(database, "b") == (100, 0)


async def test_no_tenant_releases_another_tenants_hold(database: Database) -> None:
    await open_account(database, "a", 100)
    await add_tenant(database, "ten_other")
    await place(database, "h1", "a", 60)

    with pytest.raises(DuplicateRequest):
        await database.transact(
            lambda session: ledger.release_hold(session, "h1", in_usd("a"), tenant_id="ten_other")
        )

    assert await balance(database, "a") == (100, 60)


async def test_the_banks_own_accounts_have_no_limit(database: Database) -> None:
    await open_account(database, "a")

    await post(database, transfer_entry("t1", f"{TENANT}:cash", "a", 10**15))

    assert await balance(database, "a") == (10**15, 0)
    assert await balance(database, CASH.partition("/")[0]) == (-(10**15), 0)


async def test_an_entry_leaves_nothing_behind_when_its_unit_fails(database: Database) -> None:
    await open_account(database, "a", 100)
    await open_account(database, "b")

    async def crash(session: AsyncSession) -> None:
        await ledger.post(session, transfer_entry("t1", "a", "b", 10), tenant_id=TENANT)
        raise RuntimeError("crash before commit")

    with pytest.raises(RuntimeError):
        await database.transact(crash)

    assert await balance(database, "a") == (100, 0)
    assert await transfer(database, "t1", "a", "b", 10) != []


@pytest.mark.parametrize(
    ("status", "refusal"),
    [("frozen", AccountFrozen), ("closed", AccountClosed), ("pending", AccountNotActive)],
)
async def test_only_active_accounts_move_money(
    database: Database, status: str, refusal: type[Exception]
) -> None:
    await open_account(database, "a", status=status)

    with pytest.raises(refusal):
        await database.transact(lambda session: ledger.check_accounts(session, TENANT, ["a"]))


async def test_another_tenants_account_is_not_there(database: Database) -> None:
    await add_tenant(database, "ten_other")
    await open_account(database, "b", tenant_id="ten_other")

    for account_id in ("b", "nobody"):
        with pytest.raises(AccountNotFound):
            await database.transact(
                lambda session, wanted=account_id: ledger.check_accounts(session, TENANT, [wanted])  # type: ignore[misc]
            )


async def test_a_checked_account_is_not_frozen_before_the_commit(database: Database) -> None:
    await open_account(database, "a")
    order: list[str] = []
    checked = asyncio.Event()

    async def use(session: AsyncSession) -> None:
        await ledger.check_accounts(session, TENANT, ["a"])
        checked.set()
        await asyncio.sleep(0.1)
        order.append("used")

    async def freeze(session: AsyncSession) -> None:
        await session.execute(text("UPDATE accounts SET status = 'frozen' WHERE id = 'a'"))
        order.append("frozen")

    using = asyncio.create_task(database.transact(use))
    await checked.wait()
    await database.transact(freeze)
    await using

    assert order == ["used", "frozen"]


async def add_tenant(database: Database, tenant_id: str) -> None:
    async def work(session: AsyncSession) -> None:
        session.add(Tenant(id=tenant_id, name=tenant_id))

    await database.transact(work)
