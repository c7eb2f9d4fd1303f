"""What a workflow may do to know how the installation is doing."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.saga import StepCall
from domain.status import Measured, StatusLook, StatusReport


class StatusActivities(ABC):
    """Asking the components, and telling of what has changed."""

    @activity.defn
    @abstractmethod
    async def ask_components(self, call: StepCall[StatusLook]) -> list[Measured]:
        """Ask each, twice where one is not well. What nobody can know is left out."""

    @activity.defn
    @abstractmethod
    async def record_changes(self, call: StepCall[StatusReport]) -> None:
        """Tell `system.status_change` of each component that is not as it was last told."""
