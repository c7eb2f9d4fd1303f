"""What the database remembers of sagas: the run, its steps, and the fences of undone steps."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.saga import ENDED, Failure, SagaEnd, SagaInfo, SagaState, StepCall, Told
from storage.tables import SagaRun, SagaStep
from storage.types import utc_now
from storage.unless_there import insert_unless_there

RUNS: Any = SagaRun.__table__  # type: ignore[attr-defined]
STEPS: Any = SagaStep.__table__  # type: ignore[attr-defined]

# Statements are made once: building one takes longer than SQLite takes to run it.
PLACE = (
    select(
        RUNS.c.started_at,
        RUNS.c.state,
        RUNS.c.last_sequence,
        RUNS.c.tenant_id,
        RUNS.c.parent_id,
    )
    .where(RUNS.c.workflow_id == bindparam("workflow"))
    .with_for_update()
)
CHANGE_RUN = update(RUNS).where(RUNS.c.workflow_id == bindparam("workflow"))
ADD_STEP = insert(STEPS)
UNDO_STEP = update(STEPS).where(
    STEPS.c.workflow_id == bindparam("workflow"), STEPS.c.name == bindparam("step")
)


class KnownStep(NamedTuple):
    """What is remembered of a step: `done`, `undone`, or `fenced` before it was done."""

    state: str
    result: Any
    undone: Any


FIND_STEP: Select[Any] = select(*(STEPS.c[name] for name in KnownStep._fields)).where(
    STEPS.c.workflow_id == bindparam("workflow"), STEPS.c.name == bindparam("step")
)


@dataclass(frozen=True)
class RunPlace:
    """Where a run's story stands: `begun` once `workflow.started` was told.

    `is_ours` is False where another saga has the id: a parent took one for its child that had
    been started for somebody else.
    """

    begun: bool
    state: SagaState
    last_sequence: int
    is_ours: bool = True

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def turned_back(self) -> bool:
        return self.ended or self.state is SagaState.COMPENSATING


async def lock_run(session: AsyncSession, saga: SagaInfo) -> RunPlace:
    """Lock the run's row until the commit; a saga that no API accepted gets its row here."""
    workflow = {"workflow": saga.workflow_id}
    row = (await session.execute(PLACE, workflow)).one_or_none()
    if row is None:
        await session.execute(insert_unless_there(session, RUNS).values(_new_run(saga)))
        row = (await session.execute(PLACE, workflow)).one()
    return RunPlace(
        begun=row.started_at is not None,
        state=SagaState(row.state),
        last_sequence=row.last_sequence,
        is_ours=(row.tenant_id, row.parent_id) == (saga.tenant_id, saga.parent_id),
    )


def _new_run(saga: SagaInfo) -> dict[str, Any]:
    return {
        "workflow_id": saga.workflow_id,
        "tenant_id": saga.tenant_id,
        "type": saga.type,
        "state": SagaState.ACCEPTED,
        "request": {},
        "initiated_by": saga.initiated_by,
        "subject_type": saga.subject_type,
        "subject_id": saga.subject_id,
        "parent_id": saga.parent_id,
        "last_sequence": 0,
        "accepted_at": utc_now(),
    }


async def begin_run(session: AsyncSession, saga: SagaInfo) -> None:
    await change_run(
        session,
        saga.workflow_id,
        state=SagaState.RUNNING,
        run_id=saga.run_id,
        started_at=saga.started_at,
        deadline_at=saga.deadline_at,
        subject_type=saga.subject_type,
        subject_id=saga.subject_id,
        parent_id=saga.parent_id,
    )


async def change_run(session: AsyncSession, workflow_id: str, **values: Any) -> None:
    await session.execute(CHANGE_RUN, {"workflow": workflow_id} | values)


async def find_step(session: AsyncSession, workflow_id: str, name: str) -> KnownStep | None:
    key = {"workflow": workflow_id, "step": name}
    row = (await session.execute(FIND_STEP, key)).one_or_none()
    return KnownStep(*row) if row is not None else None


async def completed_steps(session: AsyncSession, workflow_id: str) -> tuple[str, ...]:
    """Every step that was told as completed, in that order, also if it was undone later."""
    query = (
        select(STEPS.c.name)
        .where(STEPS.c.workflow_id == workflow_id, STEPS.c.state != "fenced")
        .order_by(STEPS.c.completed_at, STEPS.c.position)
    )
    return tuple((await session.scalars(query)).all())


async def record_step(
    session: AsyncSession, call: StepCall[Any], state: str, **columns: Any
) -> None:
    """Write the step's row, with its `result` or `undone`. The key refuses a second one."""
    now = utc_now()
    row = {
        "workflow_id": call.saga.workflow_id,
        "name": call.step,
        "state": state,
        "position": call.position,
        "result": None,
        "undone": None,
        "attempt": 1,
        "started_at": call.begun_at,
        "completed_at": now,
        "undone_at": now if state == "fenced" else None,
    }
    await session.execute(ADD_STEP, row | columns)


async def mark_undone(session: AsyncSession, call: StepCall[Any], undone: Any) -> None:
    key = {"workflow": call.saga.workflow_id, "step": call.step}
    values = {"state": "undone", "undone": undone, "undone_at": utc_now()}
    await session.execute(UNDO_STEP, key | values)


async def has_completed(session: AsyncSession, workflow_id: str) -> bool:
    """Whether the run has told its completion. A workflow may be run again after that: when a
    cancel came while its last task was on its way to the engine."""
    state = await session.scalar(select(RUNS.c.state).where(RUNS.c.workflow_id == workflow_id))
    return bool(state == SagaState.COMPLETED)


async def told(session: AsyncSession, workflow_id: str) -> Told:
    """How a run that has ended did so."""
    query = select(RUNS.c.state, RUNS.c.result, RUNS.c.failure)
    row = (await session.execute(query.where(RUNS.c.workflow_id == workflow_id))).one()
    state = SagaState(row.state)
    failure = Failure(**row.failure, outcome=state) if row.failure else None
    return Told(state, row.result or {}, failure)


async def end_run(session: AsyncSession, end: SagaEnd) -> None:
    failure = None
    if end.failure is not None:
        failure = {
            "step": end.failure.step,
            "code": end.failure.code,
            "text": end.failure.text,
            "details": end.failure.details,
        }
    await change_run(
        session,
        end.saga.workflow_id,
        state=end.state,
        result=end.result,
        failure=failure,
        ended_at=end.ended_at,
    )
