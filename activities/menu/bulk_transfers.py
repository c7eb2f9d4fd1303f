"""What a workflow may record of a bulk transfer. Its transfers are sagas of their own."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.bulk_transfer import BulkOutcome, BulkTransferRequest
from domain.saga import StepCall, Undone


class BulkTransferActivities(ABC):
    """The list and its items, from acceptance to their end."""

    @activity.defn
    @abstractmethod
    async def open_bulk(self, call: StepCall[BulkTransferRequest]) -> None:
        """Record the list, and each item as a transfer, so that they can be found from now on."""

    @activity.defn
    @abstractmethod
    async def fail_bulk(self, call: StepCall[BulkTransferRequest]) -> Undone:
        """Record why it failed, also of the items that never began."""

    @activity.defn
    @abstractmethod
    async def close_bulk(self, call: StepCall[BulkOutcome]) -> None:
        """Record what came of it. Refuses, with the first failure, if no item completed."""
