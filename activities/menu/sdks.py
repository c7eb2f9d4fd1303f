"""What a workflow may do to make client packages."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.partner import Module
from domain.saga import StepCall, Undone
from domain.sdk import (
    BuiltPackage,
    Generation,
    PackageRequest,
    PurgeSdkRequest,
    SdkGenerationRequest,
)


class SdkActivities(ABC):
    """Packages, from the API's document to a file that can be installed."""

    @activity.defn
    @abstractmethod
    async def check_sdk_tier(self, call: StepCall[SdkGenerationRequest]) -> tuple[Module, ...]:
        """The modules to generate. Refuses tier_not_allowed, and partners that have left."""

    @activity.defn
    @abstractmethod
    async def build_package(self, call: StepCall[PackageRequest]) -> BuiltPackage:
        """Generate, pack and store it. The same document makes the same bytes."""

    @activity.defn
    @abstractmethod
    async def delete_package(self, call: StepCall[PackageRequest]) -> Undone:
        """Delete it again."""

    @activity.defn
    @abstractmethod
    async def publish_sdk(self, call: StepCall[Generation]) -> None:
        """Let the packages be downloaded, and tell `sdk.generated`."""

    @activity.defn
    @abstractmethod
    async def purge_sdk(self, call: StepCall[PurgeSdkRequest]) -> None:
        """Delete a published generation. Purging again changes nothing."""
