"""What a workflow may do to put a partner's widget on the web."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.saga import StepCall, Undone
from domain.widget import WidgetDeploymentRequest


class WidgetActivities(ABC):
    """A widget's versions. The newest that is live is what pages get."""

    @activity.defn
    @abstractmethod
    async def check_widget_tier(self, call: StepCall[WidgetDeploymentRequest]) -> None:
        """Refuses tier_not_allowed, and partners that are not active."""

    @activity.defn
    @abstractmethod
    async def build_widget(self, call: StepCall[WidgetDeploymentRequest]) -> str:
        """Build the next version, hash and store it; returns the version. Nobody gets it yet."""

    @activity.defn
    @abstractmethod
    async def delete_widget(self, call: StepCall[WidgetDeploymentRequest]) -> Undone:
        """Delete the script. Its version is never used again."""

    @activity.defn
    @abstractmethod
    async def switch_widget(self, call: StepCall[WidgetDeploymentRequest]) -> None:
        """Let it be served, and be the current one, from this commit on."""

    @activity.defn
    @abstractmethod
    async def switch_widget_back(self, call: StepCall[WidgetDeploymentRequest]) -> Undone:
        """Let the one before it be current again."""

    @activity.defn
    @abstractmethod
    async def publish_widget(self, call: StepCall[WidgetDeploymentRequest]) -> dict[str, str]:
        """Tell `widget.deployed`; returns where it is. Refuses if the partner left meanwhile."""
