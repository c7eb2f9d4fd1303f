"""Watching a position: when its owner is warned, and when it is liquidated.

Warned once when its health falls below 1.5, and again only after it had recovered to 1.6: a price
that goes up and down round the threshold is one warning. Liquidated below 1.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from domain.catalogue import PositionLiquidationWarning
from domain.position import ClosePositionRequest, Percent, PositionId
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

WARN_BELOW: Final = Decimal("1.5")
CALM_FROM: Final = Decimal("1.6")
LIQUIDATE_BELOW: Final = Decimal("1.0")
SUGGESTED: Final = ("add_collateral", "repay_debt", "close_position")


@dataclass(frozen=True)
class Watched:
    """What is known from earlier looks: it goes with a monitor into its next run."""

    warned: bool = False
    warnings: int = 0
    liquidations: int = 0
    price_slip_percent: Percent | None = None

    @property
    def slip(self) -> str:
        return self.price_slip_percent or "0"


@dataclass(frozen=True, kw_only=True)
class MonitorPositionRequest(SagaRequest):
    """Watch a position that borrowed, until it is closed.

    A monitor goes on in a new run of the engine after `looks_per_run` looks, which bounds its
    history; `so_far` is what it knows by then: leave it out. `sandbox` tells the sandbox of the
    protocol how to behave: `close`, whose `slip_percent` is how far the price fell, as the signal
    `move_price` says later.
    """

    position_id: PositionId
    check_every_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    looks_per_run: Annotated[int, Field(ge=2, le=500)] = 200
    so_far: Watched = Watched()
    sandbox: dict[str, Faults] = field(default_factory=dict)

    @property
    def close_faults(self) -> Faults:
        return self.sandbox.get("close", NO_FAULTS)

    def seen_first(self) -> Watched:
        """What a monitor knows when it begins, or goes on."""
        if self.so_far.price_slip_percent is not None:
            return self.so_far
        return replace(self.so_far, price_slip_percent=self.close_faults.slip_percent)

    def liquidation(self, watched: Watched) -> ClosePositionRequest:
        """The next one to be tried. One that failed is not tried again under its id."""
        faults = replace(self.close_faults, slip_percent=watched.slip)
        return ClosePositionRequest(
            id=f"{self.id}-{watched.liquidations}",
            position_id=self.position_id,
            reason="liquidated",
            sandbox={"close": faults},
        )


@dataclass(frozen=True)
class PriceMove:
    """The argument of `move_price`: by how many percent the sandbox's price has fallen in all."""

    slip_percent: Percent


@dataclass(frozen=True)
class Look:
    """Ask how a position is, at the sandbox's price."""

    position_id: str
    price_slip_percent: str


@dataclass(frozen=True)
class PositionHealth:
    """How a position is. All but `open` are there only while it is; decimals, in dollars."""

    open: bool
    health_factor: str = ""
    collateral_usd: str = ""
    debt_usd: str = ""


@dataclass(frozen=True)
class Unhealthy:
    """A position whose owner must be warned."""

    position_id: str
    health: PositionHealth


@dataclass(frozen=True)
class Judgement:
    """What a look leads to, and whether the owner counts as warned from then on."""

    warn: bool
    liquidate: bool
    warned: bool


def judge(health_factor: Decimal, *, warned: bool) -> Judgement:
    low = health_factor < WARN_BELOW
    stays_warned = warned and health_factor < CALM_FROM
    return Judgement(
        warn=low and not warned,
        liquidate=health_factor < LIQUIDATE_BELOW,
        warned=low or stays_warned,
    )


def liquidation_warning(unhealthy: Unhealthy) -> PositionLiquidationWarning:
    """How long there is to respond nobody knows, unless it is too late."""
    health = unhealthy.health
    too_late = Decimal(health.health_factor) < LIQUIDATE_BELOW
    return PositionLiquidationWarning(
        position_id=unhealthy.position_id,
        health_factor=health.health_factor,
        warning_threshold=str(WARN_BELOW),
        liquidation_threshold=str(LIQUIDATE_BELOW),
        collateral_value_usd=health.collateral_usd,
        debt_value_usd=health.debt_usd,
        suggested_actions=SUGGESTED,
        time_to_respond_seconds=0 if too_late else None,
    )
