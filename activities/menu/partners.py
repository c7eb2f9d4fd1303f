"""What a workflow may do to take a partner on board."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.partner_onboarding import ApprovedApplication, PartnerOnboardingRequest
from domain.saga import StepCall, Undone

Application = StepCall[PartnerOnboardingRequest]


class PartnerActivities(ABC):
    """A partner, from its application to its first key."""

    @activity.defn
    @abstractmethod
    async def open_application(self, call: Application) -> None:
        """Record the application, so that it can be found from now on."""

    @activity.defn
    @abstractmethod
    async def reject_application(self, call: Application) -> Undone:
        """Record that it came to nothing, and why: the compensation that runs last."""

    @activity.defn
    @abstractmethod
    async def check_documents(self, call: Application) -> None:
        """Refuses missing_documents."""

    @activity.defn
    @abstractmethod
    async def verify_organization(self, call: Application) -> None:
        """Have the organization verified. Refuses kyc_required."""

    @activity.defn
    @abstractmethod
    async def screen_organization(self, call: Application) -> None:
        """Look it up on the sanctions lists. Refuses sanctions_hit."""

    @activity.defn
    @abstractmethod
    async def assess_partner(self, call: Application) -> None:
        """Refuses assessment_failed, and a webhook URL that is not allowed."""

    @activity.defn
    @abstractmethod
    async def create_partner(self, call: StepCall[ApprovedApplication]) -> None:
        """Make its tenant: where its own things will be."""

    @activity.defn
    @abstractmethod
    async def deactivate_partner(self, call: StepCall[ApprovedApplication]) -> Undone:
        """Let it be no partner any more."""

    @activity.defn
    @abstractmethod
    async def grant_keys(self, call: Application) -> None:
        """Let a key be made for it, once it is active and somebody is there to see it."""

    @activity.defn
    @abstractmethod
    async def revoke_keys(self, call: Application) -> Undone:
        """Take that back."""

    @activity.defn
    @abstractmethod
    async def register_webhook(self, call: Application) -> str:
        """Make its webhook, with a secret that nobody has seen; returns the id."""

    @activity.defn
    @abstractmethod
    async def delete_webhook(self, call: Application) -> Undone:
        """Delete it."""

    @activity.defn
    @abstractmethod
    async def create_sandbox(self, call: Application) -> None:
        """Make a tenant to try things in, and grant a key for it."""

    @activity.defn
    @abstractmethod
    async def drop_sandbox(self, call: Application) -> Undone:
        """Delete it: nobody can have been in it."""

    @activity.defn
    @abstractmethod
    async def activate_partner(self, call: Application) -> None:
        """Let it begin, and tell `partner.onboarded`."""
