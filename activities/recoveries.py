"""Get an endpoint back on its feet: one probe at a time; then what is parked, batch by batch."""

from datetime import timedelta
from typing import Any

from temporalio import activity

from activities.heartbeats import to_its_end
from activities.ports import RecoveryActivities
from activities.sender import Sender, Withheld
from activities.webhooks import EARLY, again
from domain.batch import RecoveryRequest
from storage import attempts, recovery
from storage.health import oldest_parked
from storage.recovery import Situation

DRAIN_EVERY = timedelta(seconds=1)
BLOCKED_AGAIN = timedelta(seconds=5)


class HttpRecoveryActivities(RecoveryActivities):
    def __init__(self, sender: Sender, *, drain_every: timedelta = DRAIN_EVERY) -> None:
        self._sender = sender
        self._database = sender.database
        self._drain_every = drain_every

    @activity.defn
    async def recover_endpoint(self, request: RecoveryRequest) -> str:
        return await to_its_end(self._step(request.endpoint_id))

    async def _step(self, endpoint_id: str) -> str:
        where = await self._situation(endpoint_id)
        if where is None or where.deleted or where.health == "disabled":
            return "given_up"
        if where.health == "parked":
            await self._probe(where)
        elif where.health != "recovering":
            return "recovered"
        return await self._drain(where)

    async def _probe(self, where: Situation) -> None:
        """Returns if it was answered with success; raises until then."""
        if where.due_at is not None and (wait := where.due_at - self._sender.now()) > EARLY:
            raise again(wait, "the next probe is not due yet")
        row = await self._choose(where)
        if row is None:
            await self._database.transact(
                lambda session: recovery.close_breaker(
                    session, where.endpoint_id, now=self._sender.now()
                )
            )
            return
        async with self._database.read() as session:
            addressees = await self._sender.addresses.look_up(session, [where.endpoint_id])
        recorded = await self._sender.send(row, addressees[where.endpoint_id], is_probe=True)
        after = await self._situation(where.endpoint_id)
        if after is not None and after.health == "parked":
            delay = after.due_at - self._sender.now() if after.due_at else BLOCKED_AGAIN
            reason = recorded.word if isinstance(recorded, Withheld) else recorded.decision.reason
            why = f"probe {after.round_number} with {row.id}: {reason}"
            raise again(delay, why)

    async def _choose(self, where: Situation) -> Any:
        """The delivery a person asked for, else the oldest ones in turn: one of them alone may be
        what the receiver chokes on. None if nothing is parked."""
        async with self._database.read() as session:
            if where.probe_first is not None:
                row = await attempts.load_delivery(session, where.probe_first)
                if row is not None and row.state == "parked":
                    return row
            oldest = await recovery.candidates(session, where.endpoint_id)
            if oldest:
                chosen = oldest[where.round_number % len(oldest)]
                return await attempts.load_delivery(session, chosen)
            if await oldest_parked(session, where.endpoint_id, most=1):
                raise again(BLOCKED_AGAIN, "what is parked waits for its key")
            return None

    async def _drain(self, where: Situation) -> str:
        if where.drain != "drain":
            await self._leave_out(where)
        is_left = await self._database.transact(
            lambda session: recovery.let_go_batch(
                session, where.endpoint_id, every=self._drain_every, now=self._sender.now()
            )
        )
        if is_left:
            raise again(self._drain_every, "more is parked")
        await self._database.transact(
            lambda session: recovery.finish(session, where.endpoint_id, now=self._sender.now())
        )
        after = await self._situation(where.endpoint_id)
        if after is not None and after.health == "parked":
            raise again(self._drain_every, "it failed again")
        return "recovered"

    async def _leave_out(self, where: Situation) -> None:
        """Cancel what the operator did not want, in batches that others can write between."""
        keep: set[str] = set()
        if where.drain == "newest_per_key":
            async with self._database.read() as session:
                keep = await recovery.newest_per_key(session, where)
        after: str | None = ""
        while after is not None:
            begin = after
            after = await self._database.transact(
                lambda session: recovery.leave_out(
                    session,
                    where,
                    keep,
                    begin,  # noqa: B023 - it runs before the next turn
                    now=self._sender.now(),
                )
            )
        await self._database.transact(
            lambda session: recovery.drain_all(session, where.endpoint_id)
        )

    async def _situation(self, endpoint_id: str) -> Situation | None:
        async with self._database.read() as session:
            return await recovery.situation(session, endpoint_id)
