"""Check an account's limits, in the transaction that sets the money aside."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.account_limits import (
    DAY,
    AssetLimits,
    check_day,
    check_transfer,
    limits_from_row,
)
from domain.money import Money
from storage.ledger_tables import Account
from storage.outflow import outflow_minor
from storage.types import utc_now


async def check(session: AsyncSession, account: Account, money: Money) -> None:
    """After the hold was placed: what is placed counts, and others that place wait for us.

    Raises LimitExceeded; the caller's transaction takes the hold back with everything else.
    """
    limits = limits_of(account, money.asset_code)
    check_transfer(limits, money)
    if limits.per_day_minor is not None:
        today = await outflow_minor(session, account.id, money.asset_code, since=utc_now() - DAY)
        check_day(limits, money, today_minor=today)


def limits_of(account: Account, asset_code: str) -> AssetLimits:
    return limits_from_row(account.limits, asset_code)
