"""Warn of API keys that will end."""

from collections.abc import Callable
from datetime import datetime

from temporalio import activity

from activities.ports import KeyExpiryActivities
from domain.key_expiry import KeyExpiryRequest
from runtime.database import Database
from storage import key_expiry
from storage.types import utc_now


class SqlKeyExpiryActivities(KeyExpiryActivities):
    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    @activity.defn
    async def warn_of_expiry(self, request: KeyExpiryRequest) -> datetime | None:
        return await self._database.transact(
            lambda session: key_expiry.warn(session, request.key_id, now=self._now())
        )
