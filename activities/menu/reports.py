"""What a workflow may do to report to a regulator."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.compliance_report import ComplianceReportRequest, Rendered
from domain.saga import StepCall, Undone

Call = StepCall[ComplianceReportRequest]


class ReportActivities(ABC):
    """A report's life: collected, rendered, stored, submitted, acknowledged."""

    @activity.defn
    @abstractmethod
    async def collect_records(self, call: Call) -> int:
        """Read the period from the books and keep it. Refuses invalid_period, report_too_large."""

    @activity.defn
    @abstractmethod
    async def discard_report(self, call: Call) -> Undone:
        """Delete what was collected, and record why there is no report."""

    @activity.defn
    @abstractmethod
    async def validate_records(self, call: Call) -> None:
        """Look for what a regulator would send back. Refuses report_invalid."""

    @activity.defn
    @abstractmethod
    async def render_report(self, call: Call) -> Rendered:
        """Make the file of it, as a draft."""

    @activity.defn
    @abstractmethod
    async def delete_draft(self, call: Call) -> Undone:
        """Delete the draft."""

    @activity.defn
    @abstractmethod
    async def store_report(self, call: Call) -> str:
        """Keep the draft for good, and return its SHA-256, taken from what is stored."""

    @activity.defn
    @abstractmethod
    async def delete_stored(self, call: Call) -> Undone:
        """Delete what was stored."""

    @activity.defn
    @abstractmethod
    async def submit_report(self, call: Call) -> str:
        """Send it, and return the regulator's reference."""

    @activity.defn
    @abstractmethod
    async def withdraw_report(self, call: Call) -> Undone:
        """Take it back, or make the regulator refuse it if it comes late."""

    @activity.defn
    @abstractmethod
    async def publish_report(self, call: Call) -> None:
        """Tell `compliance.report.generated`: from here on the file stays."""

    @activity.defn
    @abstractmethod
    async def await_acknowledgement(self, call: Call) -> None:
        """Return once it is acknowledged. Asked again by the server until then, never asleep."""
