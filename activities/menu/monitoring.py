"""What a workflow may do to find postings that look like what the law wants to hear of."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.monitoring import (
    Judged,
    MonitoringRequest,
    Unjudged,
    ViolationReport,
    WatchRequest,
)
from domain.saga import StepCall


class MonitoringActivities(ABC):
    """Rules over postings: each posting is judged once by each rule."""

    @activity.defn
    @abstractmethod
    async def check_scope(self, call: StepCall[MonitoringRequest]) -> None:
        """Refuses account_not_found, for one that is another tenant's, too."""

    @activity.defn
    @abstractmethod
    async def judge_postings(self, call: StepCall[MonitoringRequest]) -> Judged:
        """Judge some accounts' postings and keep what breaks a rule. Cannot be undone."""

    @activity.defn
    @abstractmethod
    async def report_violations(self, call: StepCall[ViolationReport]) -> int:
        """Tell `compliance.violation.detected` of each, with what was done about it."""

    @activity.defn
    @abstractmethod
    async def find_unjudged(self, call: StepCall[WatchRequest]) -> Unjudged:
        """Look whether anything has moved that nobody has judged. Changes nothing."""
