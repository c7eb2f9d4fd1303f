"""What a workflow may do to pay a merchant on a chain."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.payment_intent import PaymentIntentRequest
from domain.saga import StepCall, Undone


class PaymentIntentActivities(ABC):
    """An intent's life: created, held, submitted, confirmed; or cancelled, expired, failed."""

    @activity.defn
    @abstractmethod
    async def create_intent(self, call: StepCall[PaymentIntentRequest]) -> None:
        """Record the intent and tell `payment_intent.created`. Moves no money."""

    @activity.defn
    @abstractmethod
    async def cancel_intent(self, call: StepCall[PaymentIntentRequest]) -> Undone:
        """Record why it came to nothing; tell `payment_intent.expired` if its time was up."""

    @activity.defn
    @abstractmethod
    async def hold_payment(self, call: StepCall[PaymentIntentRequest]) -> None:
        """Set amount and fee aside. Refuses as a transfer does."""

    @activity.defn
    @abstractmethod
    async def release_payment(self, call: StepCall[PaymentIntentRequest]) -> Undone:
        """Give amount and fee back."""

    @activity.defn
    @abstractmethod
    async def submit_payment(self, call: StepCall[PaymentIntentRequest]) -> str:
        """Broadcast it and return its hash. Cannot be undone: it is the pivot."""

    @activity.defn
    @abstractmethod
    async def await_confirmations(self, call: StepCall[PaymentIntentRequest]) -> int:
        """Return once there are enough. Asked again by the server until then, never asleep."""

    @activity.defn
    @abstractmethod
    async def issue_receipt(self, call: StepCall[PaymentIntentRequest]) -> str:
        """Post it from its hold, and tell `payment_intent.completed`."""
