"""What a workflow may do to bring tokens from one chain to another."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.bridge import (
    Arrival,
    ArrivedBridge,
    BridgeQuote,
    BridgeQuoteRequest,
    BridgeTransferRequest,
    QuotedBridge,
)
from domain.saga import StepCall, Undone


class BridgeActivities(ABC):
    """A crossing's life: quoted, locked, submitted; then arrived, or given back."""

    @activity.defn
    @abstractmethod
    async def ask_quote(self, call: StepCall[BridgeQuoteRequest]) -> BridgeQuote:
        """Have the bridge say what it takes, and keep that for a transfer to come."""

    @activity.defn
    @abstractmethod
    async def quote_bridge(self, call: StepCall[BridgeTransferRequest]) -> BridgeQuote:
        """Record the transfer at its quote, which nobody else can use any more.

        Refuses quote_expired, and what the bridge refuses.
        """

    @activity.defn
    @abstractmethod
    async def fail_bridge(self, call: StepCall[BridgeTransferRequest]) -> Undone:
        """Tell `bridge.failed`: the compensation that runs last."""

    @activity.defn
    @abstractmethod
    async def verify_sender(self, call: StepCall[QuotedBridge]) -> None:
        """Screen the sender. Refuses sanctions_hit, and an address that is not the account's."""

    @activity.defn
    @abstractmethod
    async def lock_source(self, call: StepCall[QuotedBridge]) -> None:
        """Set the amount aside. Refuses as a transfer does, and limit_exceeded, quote_expired."""

    @activity.defn
    @abstractmethod
    async def unlock_source(self, call: StepCall[QuotedBridge]) -> Undone:
        """Give it back."""

    @activity.defn
    @abstractmethod
    async def submit_source(self, call: StepCall[QuotedBridge]) -> str:
        """Send the tokens into the bridge; returns the hash, and tells `bridge.initiated`."""

    @activity.defn
    @abstractmethod
    async def refund_source(self, call: StepCall[QuotedBridge]) -> Undone:
        """Have the bridge give them back, or refuse them if they come late."""

    @activity.defn
    @abstractmethod
    async def await_arrival(self, call: StepCall[QuotedBridge]) -> Arrival:
        """Return the bridge's last word. Asked again by the server until then, never asleep.

        When the window has passed, the bridge must say which it is: arrived or given back.
        """

    @activity.defn
    @abstractmethod
    async def mint_arrived(self, call: StepCall[ArrivedBridge]) -> None:
        """Post what left and what arrived, and tell `bridge.completed`."""
