"""What a workflow may do to pay a completed transfer back."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.reversal import ReverseTransferRequest
from domain.saga import StepCall, Undone


class ReversalActivities(ABC):
    """A second transfer, the other way round, that the first one knows of."""

    @activity.defn
    @abstractmethod
    async def open_reversal(self, call: StepCall[ReverseTransferRequest]) -> None:
        """Record the reversal. Refuses what did not complete, was reversed, or is too old."""

    @activity.defn
    @abstractmethod
    async def fail_reversal(self, call: StepCall[ReverseTransferRequest]) -> Undone:
        """Record why it failed: the compensation that runs last."""

    @activity.defn
    @abstractmethod
    async def hold_received(self, call: StepCall[ReverseTransferRequest]) -> None:
        """Set aside what the recipient got. Refuses if it has been spent."""

    @activity.defn
    @abstractmethod
    async def release_received(self, call: StepCall[ReverseTransferRequest]) -> Undone:
        """Give it back to the recipient."""

    @activity.defn
    @abstractmethod
    async def pay_back(self, call: StepCall[ReverseTransferRequest]) -> dict[str, int | str]:
        """Post it to the sender, link the two transfers, and tell `transfer.reversed`."""
