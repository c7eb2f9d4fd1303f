"""A saga's acts without an engine: its calls, and effects that are easy to look for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from activities import books
from activities.sagas import SqlSagaActivities
from activities.steps import Steps, Unit
from domain.ledger import move
from domain.saga import (
    NOTHING_TO_UNDO,
    Failure,
    SagaEnd,
    SagaInfo,
    SagaState,
    StepCall,
    Undone,
    UndoStatus,
)
from runtime.database import Database
from storage.types import utc_now
from tests.conftest import TENANT
from tests.storage.books import in_usd, usd

STEPS = ("hold", "pay")
FAILURE = Failure("pay", "limit_exceeded", "no")


@dataclass(frozen=True)
class Payment:
    """What every step of the specimen is asked for."""

    id: str
    source: str = "a"
    target: str = "b"
    minor: int = 10


def saga(workflow_id: str) -> SagaInfo:
    return SagaInfo(
        workflow_id=workflow_id,
        run_id="run",
        type="specimen",
        tenant_id=TENANT,
        initiated_by="test",
        steps=STEPS,
        started_at=utc_now(),
    )


def call(
    workflow_id: str, step: str = "hold", *, minor: int = 10, failure: Failure | None = None
) -> StepCall[Payment]:
    return StepCall(
        saga(workflow_id),
        step,
        STEPS.index(step) + 1 if step in STEPS else 0,
        utc_now(),
        Payment(workflow_id, minor=minor),
        compensatable=True,
        failure=failure,
    )


def undoing(workflow_id: str, step: str = "hold") -> StepCall[Payment]:
    return call(workflow_id, step, failure=FAILURE)


async def hold(unit: Unit, call: StepCall[Payment]) -> dict[str, str]:
    payment = call.request
    await books.place_hold(
        unit, f"{payment.id}/hold", payment.source, usd(payment.minor), related=payment.id
    )
    return {"held": f"{payment.id}/hold"}


async def release(unit: Unit, call: StepCall[Payment]) -> Undone:
    payment = call.request
    given_back = await books.release_hold(
        unit, f"{payment.id}/hold", payment.source, "USD", related=payment.id
    )
    return Undone(UndoStatus.EXECUTED, payment.minor, "USD") if given_back else NOTHING_TO_UNDO


async def pay(unit: Unit, call: StepCall[Payment]) -> None:
    payment = call.request
    entry = move(
        f"{payment.id}/pay",
        "transfer",
        debit=in_usd(payment.source),
        credit=in_usd(payment.target),
        money=usd(payment.minor),
    )
    reasons = {payment.source: "outgoing_transfer", payment.target: "incoming_transfer"}
    await books.post(unit, entry, reasons, related=payment.id, hold_id=f"{payment.id}/hold")


async def end(database: Database, workflow_id: str, state: SagaState = SagaState.COMPLETED) -> None:
    how = SagaEnd(saga(workflow_id), state, utc_now())
    if state is not SagaState.COMPLETED:
        how = replace(how, failure=FAILURE)
    sagas = SqlSagaActivities(database, Steps(database))
    await sagas.end_saga(StepCall(how.saga, "end", 0, utc_now(), how))


async def run_whole(database: Database, workflow_id: str) -> None:
    """A saga that completes."""
    steps = Steps(database)
    await steps.perform(call(workflow_id, "hold"), hold)
    await steps.perform(call(workflow_id, "pay"), pay)
    await end(database, workflow_id)


async def story(database: Database, workflow_id: str) -> list[str]:
    """The types of the workflow's events, in the order of their numbers, which have no gap."""
    query = "SELECT sequence, type FROM events WHERE workflow_id = :id ORDER BY sequence"
    rows = await fetch(database, query, id=workflow_id)
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
    return [event_type for _, event_type in rows]


async def fetch(database: Database, query: str, **values: Any) -> Sequence[Any]:
    async with database.read() as session:
        return (await session.execute(text(query), values)).all()
