"""What a workflow may do with money that crosses the bank's edge."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.payment import PaymentRequest
from domain.saga import StepCall, Undone


class PaymentActivities(ABC):
    """Deposits and withdrawals. The rail's operations are idempotent by the step's key."""

    @activity.defn
    @abstractmethod
    async def open_deposit(self, call: StepCall[PaymentRequest]) -> None:
        """Record the deposit. Moves no money."""

    @activity.defn
    @abstractmethod
    async def open_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        """Record the withdrawal. Moves no money."""

    @activity.defn
    @abstractmethod
    async def check_payee(self, call: StepCall[PaymentRequest]) -> None:
        """Refuses frozen, closed or missing accounts, before anybody is asked for money."""

    @activity.defn
    @abstractmethod
    async def fail_payment(self, call: StepCall[PaymentRequest]) -> Undone:
        """Record why it failed or expired: the compensation that runs last."""

    @activity.defn
    @abstractmethod
    async def hold_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        """Set the amount aside. Refuses too little money, and what is over a limit."""

    @activity.defn
    @abstractmethod
    async def release_withdrawal(self, call: StepCall[PaymentRequest]) -> Undone:
        """Give it back."""

    @activity.defn
    @abstractmethod
    async def ask_rail(self, call: StepCall[PaymentRequest]) -> str:
        """Have the rail collect or pay out; returns its reference."""

    @activity.defn
    @abstractmethod
    async def recall_payment(self, call: StepCall[PaymentRequest]) -> Undone:
        """Call the payment off, or make the rail refuse it if it comes late."""

    @activity.defn
    @abstractmethod
    async def await_payment(self, call: StepCall[PaymentRequest]) -> None:
        """Return once the rail confirmed. Asked again by the server until then, never asleep."""

    @activity.defn
    @abstractmethod
    async def post_deposit(self, call: StepCall[PaymentRequest]) -> None:
        """Credit the account with what the rail brought."""

    @activity.defn
    @abstractmethod
    async def post_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        """Debit the account, from its hold, with what the rail took."""
