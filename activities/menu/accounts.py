"""What a workflow may do to an account: open it, change it, freeze it, close it."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.account import (
    CloseAccountRequest,
    FreezeAccountRequest,
    MoneyHolders,
    UnfreezeAccountRequest,
    UpdateAccountRequest,
)
from domain.saga import StepCall, Undone


class AccountChangeActivities(ABC):
    """Details of an account, each change a version."""

    @activity.defn
    @abstractmethod
    async def write_version(self, call: StepCall[UpdateAccountRequest]) -> dict[str, int]:
        """Write the new details. Refuses closed or missing accounts, and a change of nothing."""

    @activity.defn
    @abstractmethod
    async def restore_version(self, call: StepCall[UpdateAccountRequest]) -> Undone:
        """Write the old ones again."""

    @activity.defn
    @abstractmethod
    async def confirm_version(self, call: StepCall[UpdateAccountRequest]) -> None:
        """Tell `account.updated`."""


class FreezeActivities(ABC):
    """The flag that lets no money leave an account."""

    @activity.defn
    @abstractmethod
    async def place_freeze(self, call: StepCall[FreezeAccountRequest]) -> None:
        """Place the flag. Refuses what is frozen already, closed or not yet open."""

    @activity.defn
    @abstractmethod
    async def remove_freeze(self, call: StepCall[FreezeAccountRequest]) -> Undone:
        """Remove the flag, if it is still this one."""

    @activity.defn
    @abstractmethod
    async def record_freeze(self, call: StepCall[FreezeAccountRequest]) -> None:
        """Record who authorised it, and tell `account.frozen`."""

    @activity.defn
    @abstractmethod
    async def find_money_holders(self, call: StepCall[FreezeAccountRequest]) -> MoneyHolders:
        """The runs that have money of the account set aside to send it away."""

    @activity.defn
    @abstractmethod
    async def lift_freeze(self, call: StepCall[UnfreezeAccountRequest]) -> None:
        """Remove the flag. Refuses what is not frozen."""

    @activity.defn
    @abstractmethod
    async def put_freeze_back(self, call: StepCall[UnfreezeAccountRequest]) -> Undone:
        """Place it again, as it was."""

    @activity.defn
    @abstractmethod
    async def record_unfreeze(self, call: StepCall[UnfreezeAccountRequest]) -> None:
        """Tell `account.unfrozen`."""


class ClosingActivities(ABC):
    """An account's end."""

    @activity.defn
    @abstractmethod
    async def set_aside_rest(self, call: StepCall[CloseAccountRequest]) -> None:
        """Hold whatever is left, to sweep it. Refuses if something is left and nobody takes it."""

    @activity.defn
    @abstractmethod
    async def release_rest(self, call: StepCall[CloseAccountRequest]) -> Undone:
        """Give it back."""

    @activity.defn
    @abstractmethod
    async def revoke_mandates(self, call: StepCall[CloseAccountRequest]) -> dict[str, int]:
        """Revoke every standing permission to take money from the account."""

    @activity.defn
    @abstractmethod
    async def restore_mandates(self, call: StepCall[CloseAccountRequest]) -> Undone:
        """Restore those that this saga revoked."""

    @activity.defn
    @abstractmethod
    async def close_account(self, call: StepCall[CloseAccountRequest]) -> None:
        """Sweep what was set aside and what came in since, close, and tell `account.closed`."""
