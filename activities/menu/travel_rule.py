"""What a workflow may look up about who sends money and who receives it."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.saga import StepCall
from domain.travel_rule import (
    CheckFacts,
    MissingData,
    Screened,
    ScreeningRequest,
    TravelRuleRequest,
    Verdict,
)


class TravelRuleActivities(ABC):
    """The facts of a check, without the personal data that they are about."""

    @activity.defn
    @abstractmethod
    async def find_missing_data(self, call: StepCall[TravelRuleRequest]) -> MissingData:
        """Names of what is required of both sides and not known."""

    @activity.defn
    @abstractmethod
    async def screen_party(self, call: StepCall[ScreeningRequest]) -> Screened:
        """Look one side up on the sanctions lists. A hit is an answer, not a refusal."""

    @activity.defn
    @abstractmethod
    async def decide_check(self, call: StepCall[CheckFacts]) -> Verdict:
        """Record what the facts mean, and tell `travel_rule.check.completed`."""
