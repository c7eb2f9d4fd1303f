"""What a workflow may do with what a position earns."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.harvest import Claimed, Harvest, HarvestedPosition, HarvestYieldRequest
from domain.position import Position
from domain.saga import StepCall


class HarvestActivities(ABC):
    """Estimated, claimed, charged, and put in again or paid out."""

    @activity.defn
    @abstractmethod
    async def estimate_rewards(self, call: StepCall[HarvestYieldRequest]) -> Position:
        """Refuses rewards_below_gas, position_not_found, position_not_open."""

    @activity.defn
    @abstractmethod
    async def claim_rewards(self, call: StepCall[HarvestedPosition]) -> Claimed:
        """Have the protocol pay them out. Cannot be undone: it is the pivot."""

    @activity.defn
    @abstractmethod
    async def charge_fee(self, call: StepCall[Harvest]) -> None:
        """Post the bank's part of them."""

    @activity.defn
    @abstractmethod
    async def reinvest_rewards(self, call: StepCall[Harvest]) -> bool:
        """Put the rest in again. False if the protocol does not take it, or the position closed."""

    @activity.defn
    @abstractmethod
    async def credit_rewards(self, call: StepCall[Harvest]) -> None:
        """Post the rest to the account, unless it was put in; and tell `yield.harvested`."""
