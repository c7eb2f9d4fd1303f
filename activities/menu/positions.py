"""What a workflow may do with positions in DeFi protocols."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.position import (
    AssessedPosition,
    ClosePositionRequest,
    ClosingPosition,
    OpenPositionRequest,
    Position,
    SuppliedPosition,
    Terms,
    Withdrawn,
    WithdrawnPosition,
)
from domain.saga import StepCall, Undone


class PositionOpeningActivities(ABC):
    """From an account into a protocol."""

    @activity.defn
    @abstractmethod
    async def assess_position(self, call: StepCall[OpenPositionRequest]) -> Terms:
        """Ask for terms, and record it. Refuses slippage_exceeded and undercollateralized."""

    @activity.defn
    @abstractmethod
    async def abandon_position(self, call: StepCall[OpenPositionRequest]) -> Undone:
        """Record why it came to nothing."""

    @activity.defn
    @abstractmethod
    async def lock_stake(self, call: StepCall[AssessedPosition]) -> None:
        """Set the tokens aside. Refuses as a transfer does."""

    @activity.defn
    @abstractmethod
    async def unlock_stake(self, call: StepCall[AssessedPosition]) -> Undone:
        """Give them back."""

    @activity.defn
    @abstractmethod
    async def approve_protocol(self, call: StepCall[AssessedPosition]) -> None:
        """Let the protocol take just these tokens from the wallet."""

    @activity.defn
    @abstractmethod
    async def revoke_protocol(self, call: StepCall[AssessedPosition]) -> Undone:
        """Let it take nothing any more."""

    @activity.defn
    @abstractmethod
    async def supply_protocol(self, call: StepCall[AssessedPosition]) -> str:
        """Put them in, and borrow what is to be borrowed; returns the hash."""

    @activity.defn
    @abstractmethod
    async def withdraw_supply(self, call: StepCall[AssessedPosition]) -> Undone:
        """Take them out again, or have the protocol refuse them if they come late."""

    @activity.defn
    @abstractmethod
    async def register_position(self, call: StepCall[SuppliedPosition]) -> None:
        """Tell `position.opened`."""

    @activity.defn
    @abstractmethod
    async def deregister_position(self, call: StepCall[SuppliedPosition]) -> Undone:
        """Tell `position.closed`: it was undone."""

    @activity.defn
    @abstractmethod
    async def settle_stake(self, call: StepCall[SuppliedPosition]) -> None:
        """Post what is in the protocol now, and what was borrowed. Cannot be undone."""


class PositionClosingActivities(ABC):
    """And back."""

    @activity.defn
    @abstractmethod
    async def lock_position(self, call: StepCall[ClosePositionRequest]) -> Position:
        """Close it to others, and set aside what is to be paid back.

        Refuses position_not_found, position_not_open, insufficient_funds.
        """

    @activity.defn
    @abstractmethod
    async def unlock_position(self, call: StepCall[ClosePositionRequest]) -> Undone:
        """Leave it open, as it was."""

    @activity.defn
    @abstractmethod
    async def withdraw_position(self, call: StepCall[ClosingPosition]) -> Withdrawn:
        """Have the protocol give back what it owes. Cannot be undone: it is the pivot."""

    @activity.defn
    @abstractmethod
    async def credit_returned(self, call: StepCall[WithdrawnPosition]) -> None:
        """Post what came back and what was paid back, and tell `position.closed`."""
