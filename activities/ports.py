"""The menu: everything a workflow may do to the outside world.

Workflows import this module and nothing else from `activities`. Each class is implemented once
against real systems (beside this file); mypy checks it against the signatures here. Every action
and compensation takes one `StepCall`, and is idempotent by its key `{workflow id}/{step}`.
"""

from abc import ABC, abstractmethod
from datetime import timedelta

from temporalio import activity

from activities.menu.accounts import AccountChangeActivities as AccountChangeActivities
from activities.menu.accounts import ClosingActivities as ClosingActivities
from activities.menu.accounts import FreezeActivities as FreezeActivities
from activities.menu.bridges import BridgeActivities as BridgeActivities
from activities.menu.bulk_transfers import BulkTransferActivities as BulkTransferActivities
from activities.menu.harvests import HarvestActivities as HarvestActivities
from activities.menu.key_expiry import KeyExpiryActivities as KeyExpiryActivities
from activities.menu.maintenance import MaintenanceActivities as MaintenanceActivities
from activities.menu.monitoring import MonitoringActivities as MonitoringActivities
from activities.menu.partners import PartnerActivities as PartnerActivities
from activities.menu.payment_intents import PaymentIntentActivities as PaymentIntentActivities
from activities.menu.payments import PaymentActivities as PaymentActivities
from activities.menu.position_watch import PositionWatchActivities as PositionWatchActivities
from activities.menu.positions import PositionClosingActivities as PositionClosingActivities
from activities.menu.positions import PositionOpeningActivities as PositionOpeningActivities
from activities.menu.reports import ReportActivities as ReportActivities
from activities.menu.reversals import ReversalActivities as ReversalActivities
from activities.menu.sdks import SdkActivities as SdkActivities
from activities.menu.status import StatusActivities as StatusActivities
from activities.menu.swaps import SwapActivities as SwapActivities
from activities.menu.travel_rule import TravelRuleActivities as TravelRuleActivities
from activities.menu.widgets import WidgetActivities as WidgetActivities
from domain.account import OpenAccountRequest
from domain.batch import Claimed, ClaimSent, RecoveryRequest, RetryRequest
from domain.bookings import MoneyHold, MoneyMove, Settlement
from domain.reconcile import ReconcileRequest, Swept
from domain.replay import ReplayBatch, ReplayProgress, ReplayRequest
from domain.retention import Pruned, PruneRequest
from domain.rotation import RotationRequest, RotationView
from domain.saga import ChildEnd, ChildUndone, Failure, Nothing, SagaEnd, StepCall, Told, Undone
from domain.transfer import (
    ComplianceOutcome,
    Conversion,
    ConversionTransferRequest,
    QuotedTransfer,
    TransferQuote,
    TransferRequest,
)


class SagaActivities(ABC):
    """What the engine itself tells and records of every saga."""

    @activity.defn
    @abstractmethod
    async def begin_saga(self, call: StepCall[Nothing]) -> None:
        """Tell `workflow.started`, before a first step that may take long."""

    @activity.defn
    @abstractmethod
    async def record_child(self, call: StepCall[ChildEnd]) -> None:
        """Tell that a child saga completed as a step of this one."""

    @activity.defn
    @abstractmethod
    async def record_child_undone(self, call: StepCall[ChildUndone]) -> Undone:
        """Record that another saga reversed that child. Answers what it did."""

    @activity.defn
    @abstractmethod
    async def mark_stuck(self, call: StepCall[Failure]) -> None:
        """Record that an operator is needed, and tell the operators."""

    @activity.defn
    @abstractmethod
    async def end_saga(self, call: StepCall[SagaEnd]) -> Told:
        """Tell how the saga ended, once, and what was undone. Answers what was told first."""


class ReconcileActivities(ABC):
    """What no saga can do for itself once it was ended from outside."""

    @activity.defn
    @abstractmethod
    async def sweep_closed_runs(self, request: ReconcileRequest) -> Swept:
        """Tell the missing end of every run that the engine closed since the last sweep."""


class AccountActivities(ABC):
    """An account's life in the books."""

    @activity.defn
    @abstractmethod
    async def create_account(self, call: StepCall[OpenAccountRequest]) -> None:
        """Make the account and its ledger account; nobody can use it yet."""

    @activity.defn
    @abstractmethod
    async def discard_account(self, call: StepCall[OpenAccountRequest]) -> Undone:
        """Close the account that never was in use."""

    @activity.defn
    @abstractmethod
    async def verify_owner(self, call: StepCall[OpenAccountRequest]) -> None:
        """Have the owner verified, and keep what is known of them. Refuses kyc_required."""

    @activity.defn
    @abstractmethod
    async def set_limits(self, call: StepCall[OpenAccountRequest]) -> None:
        """Write down what may leave the account."""

    @activity.defn
    @abstractmethod
    async def remove_limits(self, call: StepCall[OpenAccountRequest]) -> Undone:
        """Forget it."""

    @activity.defn
    @abstractmethod
    async def initial_deposit(self, call: StepCall[OpenAccountRequest]) -> None:
        """Post the first money from the bank's cash."""

    @activity.defn
    @abstractmethod
    async def withdraw_deposit(self, call: StepCall[OpenAccountRequest]) -> Undone:
        """Post it back to cash."""

    @activity.defn
    @abstractmethod
    async def activate_account(self, call: StepCall[OpenAccountRequest]) -> None:
        """Let it be used, and tell `account.created`."""


class LedgerActivities(ABC):
    """Customers' money, for any saga: what most new ones are made of."""

    @activity.defn
    @abstractmethod
    async def place_hold(self, call: StepCall[MoneyHold]) -> None:
        """Set money aside. Refuses frozen, closed or missing accounts, and too little money."""

    @activity.defn
    @abstractmethod
    async def release_hold(self, call: StepCall[MoneyHold]) -> Undone:
        """Give it back."""

    @activity.defn
    @abstractmethod
    async def settle_hold(self, call: StepCall[Settlement]) -> None:
        """Post what was set aside to another account. Cannot be undone: make it the pivot."""

    @activity.defn
    @abstractmethod
    async def move_money(self, call: StepCall[MoneyMove]) -> None:
        """Post money from one account to another at once. Refuses as `place_hold` does."""

    @activity.defn
    @abstractmethod
    async def move_money_back(self, call: StepCall[MoneyMove]) -> Undone:
        """Post it back. Refused if the receiver has spent it: then the saga is stuck."""


class TransferActivities(ABC):
    """A transfer's life in the books."""

    @activity.defn
    @abstractmethod
    async def open_transfer(self, call: StepCall[TransferRequest]) -> TransferQuote:
        """Record the transfer, fix its fee, tell `transfer.created`. Moves no money."""

    @activity.defn
    @abstractmethod
    async def fail_transfer(self, call: StepCall[TransferRequest]) -> Undone:
        """Tell `transfer.failed` or `transfer.expired`: the compensation that runs last."""

    @activity.defn
    @abstractmethod
    async def clear_transfer(self, call: StepCall[ComplianceOutcome]) -> None:
        """Go on if the check let it. Refuses sanctions_hit, missing_travel_rule_data, …"""

    @activity.defn
    @abstractmethod
    async def hold_source(self, call: StepCall[QuotedTransfer]) -> None:
        """Set amount and fee aside. Refuses frozen, closed or missing accounts, too little money,
        and what is over a limit."""

    @activity.defn
    @abstractmethod
    async def release_source(self, call: StepCall[QuotedTransfer]) -> Undone:
        """Give amount and fee back."""

    @activity.defn
    @abstractmethod
    async def ask_approval(self, call: StepCall[QuotedTransfer]) -> None:
        """Tell `transfer.pending`: a person must approve it."""

    @activity.defn
    @abstractmethod
    async def settle_transfer(self, call: StepCall[QuotedTransfer]) -> None:
        """Post both legs from the hold and tell `transfer.completed`."""

    @activity.defn
    @abstractmethod
    async def post_fee(self, call: StepCall[QuotedTransfer]) -> None:
        """Post the fee from its hold."""


class RailActivities(ABC):
    """A way money leaves the bank. Every operation is idempotent by the step's key."""

    @activity.defn
    @abstractmethod
    async def submit_to_rail(self, call: StepCall[QuotedTransfer]) -> str:
        """Submit the payment and return the rail's reference; tell `transfer.pending`."""

    @activity.defn
    @abstractmethod
    async def recall_from_rail(self, call: StepCall[QuotedTransfer]) -> Undone:
        """Call the payment off, or make the rail refuse it if it comes late."""

    @activity.defn
    @abstractmethod
    async def await_rail(self, call: StepCall[QuotedTransfer]) -> None:
        """Return once the rail confirmed. Asked again by the server until then, never asleep."""


class ConversionActivities(ABC):
    """Buying one asset with another, inside one account."""

    @activity.defn
    @abstractmethod
    async def convert(self, call: StepCall[ConversionTransferRequest]) -> Conversion:
        """Convert at the market's rate. Refuses slippage_exceeded and insufficient_funds."""

    @activity.defn
    @abstractmethod
    async def convert_back(self, call: StepCall[ConversionTransferRequest]) -> Undone:
        """Give the customer the first asset back in full; the bank books what the way cost."""


class WebhookActivities(ABC):
    """Sending, recording, settling. Bodies and secrets never leave these activities."""

    @activity.defn
    @abstractmethod
    async def send_claimed(self, claim: Claimed) -> ClaimSent:
        """POST the claim's deliveries concurrently and record each attempt as it ends.

        What is to be retried is given its own workflow at once. Run again after a crash it sends
        only what has no recorded attempt.
        """

    @activity.defn
    @abstractmethod
    async def attempt_delivery(self, request: RetryRequest) -> str:
        """POST once when the delivery is due. Returns its settled or parked state.

        Raises an error with `next_retry_delay` while it is neither: the server keeps the timer.
        """


class RecoveryActivities(ABC):
    """Getting an endpoint back on its feet."""

    @activity.defn
    @abstractmethod
    async def recover_endpoint(self, request: RecoveryRequest) -> str:
        """Probe a parked endpoint when that is due; once it answers, let go what is parked.

        Does one step, then raises an error with `next_retry_delay` until nothing is left parked,
        or the endpoint is disabled: the server keeps the timer.
        """


RECOVERY_START_TO_CLOSE = timedelta(minutes=10)
RECOVERY_HEARTBEAT = timedelta(seconds=30)


class ReplayActivities(ABC):
    """Putting old events in line once more. The job's row is the checkpoint."""

    @activity.defn
    @abstractmethod
    async def queue_batch(self, batch: ReplayBatch) -> ReplayProgress:
        """Put the job's next batch in line, if it may go on. Idempotent by job and number."""

    @activity.defn
    @abstractmethod
    async def cancel_replay(self, request: ReplayRequest) -> ReplayProgress:
        """Cancel the job, unless it ended before."""


class RotationActivities(ABC):
    """The two ends of a rotation. In between old and new sign, by their rows."""

    @activity.defn
    @abstractmethod
    async def begin_rotation(self, request: RotationRequest) -> RotationView | None:
        """Announce the endpoint's rotation, once. None if nothing overlaps."""

    @activity.defn
    @abstractmethod
    async def end_rotation(self, rotation: RotationView) -> str:
        """Write that the overlap is over and destroy the old secret, unless it was rolled back."""


class RetentionActivities(ABC):
    """Forgetting what is old."""

    @activity.defn
    @abstractmethod
    async def prune(self, request: PruneRequest) -> Pruned:
        """Delete what is past its retention, in small batches. Running again deletes the rest."""
