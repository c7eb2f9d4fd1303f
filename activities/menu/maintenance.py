"""What a workflow may do to hold maintenance."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.maintenance import MaintenanceWindowRequest, Window
from domain.saga import StepCall, Undone

Call = StepCall[MaintenanceWindowRequest]


class MaintenanceActivities(ABC):
    """A window's life: scheduled, active, ended; or called off before it began."""

    @activity.defn
    @abstractmethod
    async def schedule_maintenance(self, call: Call) -> Window:
        """Record it. Refuses window_over, window_too_far and not_allowed. Tells nobody yet."""

    @activity.defn
    @abstractmethod
    async def call_off_maintenance(self, call: Call) -> Undone:
        """Record that it will not be, if it has not been."""

    @activity.defn
    @abstractmethod
    async def start_maintenance(self, call: Call) -> None:
        """Tell `system.maintenance_start`; from here on the API may refuse writes."""

    @activity.defn
    @abstractmethod
    async def break_off_maintenance(self, call: Call) -> Undone:
        """End it now, and tell so: what was told to begin must be told to end."""

    @activity.defn
    @abstractmethod
    async def end_maintenance(self, call: Call) -> None:
        """Tell `system.maintenance_end`; writes are taken again."""
