"""Write the two ends of a secret's rotation."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.ports import RotationActivities
from domain.rotation import RotationRequest, RotationState, RotationView
from runtime.database import Database
from storage import secrets
from storage.lifecycle_tables import SecretRotation
from storage.tables import Endpoint
from storage.types import utc_now


class SqlRotationActivities(RotationActivities):
    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    @activity.defn
    async def begin_rotation(self, request: RotationRequest) -> RotationView | None:
        async def work(session: AsyncSession) -> RotationView | None:
            endpoint = await secrets.lock_endpoint(session, request.endpoint_id)
            rotation = await secrets.open_rotation(session, endpoint.id)
            if rotation is None:
                await secrets.forget_expired(session, endpoint.id, now=self._now())
                return None
            await secrets.announce(session, endpoint, rotation, now=self._now())
            return RotationView(rotation.id, endpoint.id, rotation.kind, rotation.ends_at)

        return await self._database.transact(work)

    @activity.defn
    async def end_rotation(self, rotation: RotationView) -> str:
        async def work(session: AsyncSession) -> str:
            endpoint: Endpoint = await secrets.lock_endpoint(session, rotation.endpoint_id)
            row = await session.get_one(SecretRotation, rotation.rotation_id)
            if row.state == RotationState.OVERLAPPING:
                await secrets.end_rotation(session, endpoint, row, now=self._now())
            return row.state

        return await self._database.transact(work)
