"""What a workflow may do about an API key that will end."""

from abc import ABC, abstractmethod
from datetime import datetime

from temporalio import activity

from domain.key_expiry import KeyExpiryRequest


class KeyExpiryActivities(ABC):
    """Not of a saga: nothing is undone here."""

    @activity.defn
    @abstractmethod
    async def warn_of_expiry(self, request: KeyExpiryRequest) -> datetime | None:
        """Tell `system.api_key_expiring` if it is due, once. Returns when it is due again.

        None when nothing is to come: warned for the last time, rotated, revoked, or at its end.
        """
