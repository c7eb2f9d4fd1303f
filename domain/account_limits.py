"""Limits of an account: how much may leave it at once and in a day, and what needs a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from domain.errors import LimitExceeded
from domain.money import AMOUNT_MINOR_MAX, Money, exponent

DAY: Final = timedelta(hours=24)
Minor = Annotated[int, Field(gt=0, le=AMOUNT_MINOR_MAX)]


@dataclass(frozen=True)
class AssetLimits:
    """In one asset. None: no limit. A day is the 24 hours before."""

    per_transfer_minor: Minor | None = None
    per_day_minor: Minor | None = None
    approval_above_minor: Minor | None = None


NO_LIMITS: Final = AssetLimits()
Limits = dict[str, AssetLimits]  # By asset code.
_LIMITS: Final = TypeAdapter(Limits)


def check_limits(limits: Mapping[str, AssetLimits]) -> None:
    """Raises InvalidAssetCode."""
    for asset_code in limits:
        exponent(asset_code)


def limits_from_row(row: dict[str, Any], asset_code: str) -> AssetLimits:
    """What the column `accounts.limits` says of one asset."""
    return _LIMITS.validate_python(row).get(asset_code, NO_LIMITS)


def limits_to_row(limits: Limits) -> dict[str, Any]:
    found: dict[str, Any] = _LIMITS.dump_python(limits, exclude_none=True)
    return found


def check_transfer(limits: AssetLimits, money: Money) -> None:
    """Raises LimitExceeded."""
    if limits.per_transfer_minor is not None and money.amount_minor > limits.per_transfer_minor:
        raise _exceeded("per_transfer", limits.per_transfer_minor, money.amount_minor, money)


def check_day(limits: AssetLimits, money: Money, *, today_minor: int) -> None:
    """`today_minor` left in the last 24 hours, this amount included. Raises LimitExceeded."""
    if limits.per_day_minor is not None and today_minor > limits.per_day_minor:
        raise _exceeded("per_day", limits.per_day_minor, today_minor, money)


def needs_approval(limits: AssetLimits, money: Money) -> bool:
    above = limits.approval_above_minor
    return above is not None and money.amount_minor > above


def _exceeded(limit: str, limit_minor: int, wanted_minor: int, money: Money) -> LimitExceeded:
    asset_code = money.asset_code
    return LimitExceeded(
        f"{Money(wanted_minor, asset_code)} are over the limit {limit} of "
        f"{Money(limit_minor, asset_code)}",
        limit=limit,
        limit_minor=limit_minor,
        wanted_minor=wanted_minor,
        asset_code=asset_code,
    )
