"""What a workflow may do to watch a position."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.position_watch import Look, PositionHealth, Unhealthy
from domain.saga import StepCall


class PositionWatchActivities(ABC):
    """Looking changes nothing; warning tells."""

    @activity.defn
    @abstractmethod
    async def look_at_health(self, call: StepCall[Look]) -> PositionHealth:
        """How the position is now. Refuses position_not_found, position_has_no_debt."""

    @activity.defn
    @abstractmethod
    async def warn_owner(self, call: StepCall[Unhealthy]) -> None:
        """Tell `position.liquidation_warning`."""
