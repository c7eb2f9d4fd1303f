"""Change the books within a step's transaction, and tell every customer's balance that moved."""

from collections.abc import Iterable, Mapping

from activities.steps import Unit
from domain.account import balance_updated
from domain.ledger import BalanceChange, HoldRequest, JournalEntry, ledger_account_id
from domain.money import Money
from storage import ledger


async def post(
    unit: Unit,
    entry: JournalEntry,
    reasons: Mapping[str, str],
    *,
    related: str,
    hold_id: str | None = None,
) -> None:
    """Post the entry. `reasons` says, per customer account id, why its balance changed."""
    changes = await ledger.post(
        unit.session,
        entry,
        tenant_id=unit.saga.tenant_id,
        workflow_id=unit.saga.workflow_id,
        hold_id=hold_id,
    )
    for change in _customers(changes):
        assert change.account_id is not None
        reason = reasons[change.account_id]
        unit.tell(balance_updated(change, reason=reason, related=related))


async def place_hold(
    unit: Unit, hold_id: str, account_id: str, money: Money, *, related: str
) -> None:
    """Set a customer's money aside. Raises InsufficientFunds."""
    request = HoldRequest(
        hold_id,
        ledger_account_id(account_id, money.asset_code),
        money,
        unit.saga.tenant_id,
        unit.saga.workflow_id,
    )
    change = await ledger.place_hold(unit.session, request)
    if change is not None:
        unit.tell(balance_updated(change, reason="hold", related=related))


async def release_hold(
    unit: Unit, hold_id: str, account_id: str, asset_code: str, *, related: str
) -> bool:
    """Give it back. False if nothing was held."""
    change = await ledger.release_hold(
        unit.session,
        hold_id,
        ledger_account_id(account_id, asset_code),
        tenant_id=unit.saga.tenant_id,
        workflow_id=unit.saga.workflow_id,
    )
    if change is not None:
        unit.tell(balance_updated(change, reason="hold_release", related=related))
    return change is not None


def _customers(changes: Iterable[BalanceChange]) -> Iterable[BalanceChange]:
    return (change for change in changes if change.account_id is not None)
