"""Harvests: what a position earned, whether it is worth the gas, and what becomes of it."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from domain.errors import RewardsBelowGas
from domain.money import Money
from domain.payment_intent import NETWORKS, NetworkName
from domain.position import Position, PositionId, value_usd
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

FEE_BASIS_POINTS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class HarvestYieldRequest(SagaRequest):
    """Claim what a position earned, for its account; or put it in again: `reinvest`.

    Where the protocol does not take it again, the account gets it. `sandbox` tells the sandbox of
    the protocol how to behave, by what is done: `estimate`, `claim`, `reinvest`.
    """

    position_id: PositionId
    reinvest: bool = False
    sandbox: dict[str, Faults] = field(default_factory=dict)

    @property
    def harvest_id(self) -> str:
        return self.id if self.id.startswith("hrv_") else f"hrv_{self.id}"

    def faults(self, what: str) -> Faults:
        return self.sandbox.get(what, NO_FAULTS)


@dataclass(frozen=True)
class HarvestedPosition:
    """A position whose rewards are worth their gas."""

    request: HarvestYieldRequest
    position: Position


@dataclass(frozen=True)
class Claimed:
    """What the protocol paid out, in the position's own asset."""

    reward_minor: int
    tx_hash: str


@dataclass(frozen=True)
class Harvest:
    """Rewards that were paid out, and what becomes of them."""

    request: HarvestYieldRequest
    position: Position
    claimed: Claimed
    reinvested: bool = False

    @property
    def reward(self) -> Money:
        return Money(self.claimed.reward_minor, self.position.money.asset_code)

    @property
    def fee(self) -> Money:
        """Rounded down: nothing of the smallest rewards."""
        return Money(self.reward.amount_minor * FEE_BASIS_POINTS // 10_000, self.reward.asset_code)

    @property
    def net(self) -> Money:
        return Money(self.reward.amount_minor - self.fee.amount_minor, self.reward.asset_code)


def check_worth(reward: Money, chain: NetworkName) -> None:
    """Raises RewardsBelowGas."""
    gas, worth = Decimal(NETWORKS[chain].fee_usd), value_usd(reward)
    if worth <= gas:
        raise RewardsBelowGas(
            f"{reward} are worth {worth} USD, claiming them takes about {gas} USD",
            rewards_usd=str(worth),
            gas_usd=str(gas),
        )
