"""Where faults get in: between the engine and an activity, and round each transaction.

Production code knows nothing of it. The kit's worker has these interceptors, and its database is
a `FaultyDatabase`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from activities.ports import SagaActivities
from conformance.faults import (
    AFTER,
    BEFORE,
    CANCELS,
    Fault,
    Injection,
    Visit,
    after_commit,
    before_commit,
)
from conformance.hurrying import (
    DIED,
    DIES,
    HURRIES,
    RETRY_SOON,
    HurriedWorkflows,
)
from domain.saga import SagaInfo, StepCall
from runtime.database import Database
from storage.ledger_tables import LedgerAccount

Result = TypeVar("Result")

UNANSWERED = (Fault.TIMEOUT, Fault.DEATH, Fault.CANCEL_AND_DEATH)
ENGINE = frozenset(name for name in vars(SagaActivities) if not name.startswith("_"))
MARK_STUCK = "mark_stuck"


class Unanswered(Exception):
    """This attempt is never answered."""


class Died(Exception):
    """The process died here: nothing after this line happened."""


@dataclass
class Call:
    """An activity as it was called, to call it again."""

    visit: Visit
    input: ExecuteActivityInput
    run: Callable[[], Awaitable[Any]]


@dataclass
class Case:
    """One run of a saga, with what is to go wrong in it and what it came to."""

    injections: tuple[Injection, ...] = ()
    handle: WorkflowHandle[Any, Any] | None = None
    calls: dict[tuple[str, str, bool], Call] = field(default_factory=dict)
    fired: list[Injection] = field(default_factory=list)
    zombies: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    doomed: set[str] = field(default_factory=set)
    stuck: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    was_stuck: bool = False
    # Whether people may be, and were, asked to approve.
    asks: bool = True
    was_asked: bool = False
    # Steps of a watched run that changed what customers have, by saga type and step.
    watched: bool = False
    money_movers: set[tuple[str, str]] = field(default_factory=set)

    @property
    def visits(self) -> tuple[Visit, ...]:
        return tuple(dict.fromkeys(call.visit for call in self.calls.values()))

    def due(self, visit: Visit, place: str) -> Fault | None:
        """What goes wrong here, this time."""
        for injection in self.injections:
            here = injection.point == visit.at(place)
            if here and self.fired.count(injection) < injection.times:
                self.fired.append(injection)
                return injection.fault
        return None


class Cases:
    """Which case a workflow belongs to; children belong to their parent's."""

    def __init__(self) -> None:
        self._by_workflow: dict[str, Case] = {}

    def add(self, workflow_id: str, case: Case) -> None:
        self._by_workflow[workflow_id] = case

    def remove(self, case: Case) -> None:
        self._by_workflow = {
            workflow_id: other
            for workflow_id, other in self._by_workflow.items()
            if other is not case
        }

    def of(self, saga: SagaInfo) -> Case | None:
        found = self._by_workflow.get(saga.workflow_id)
        if found is None and saga.parent_id in self._by_workflow:
            found = self._by_workflow[saga.workflow_id] = self._by_workflow[saga.parent_id]
        return found

    def hurries(self, workflow_id: str, step: str) -> bool:
        """Whether an attempt of the step is going to have no answer."""
        case = self._by_workflow.get(workflow_id)
        return case is not None and any(
            one.point.step == step and one.fault in UNANSWERED for one in case.injections
        )

    def dies(self, workflow_id: str) -> bool:
        """Called from inside the workflow when an activity has answered."""
        case = self._by_workflow.get(workflow_id)
        if case is None or workflow_id not in case.doomed:
            return False
        case.doomed.remove(workflow_id)
        return True


@dataclass
class Attempt:
    """One attempt of an activity, on its way through the places of its visit."""

    case: Case
    call: StepCall[Any]
    visit: Visit
    units: int = 0

    async def reach(self, place: str) -> None:
        """Come to a place. Raises what goes wrong there."""
        fault = self.case.due(self.visit, place)
        if fault in CANCELS:
            assert self.case.handle is not None
            await self.case.handle.cancel()
        match fault:
            case Fault.ERROR | Fault.OUTAGE:
                raise ApplicationError(
                    "injected", type="injected_error", next_retry_delay=RETRY_SOON
                )
            case Fault.REFUSAL:
                raise ApplicationError("injected", type="injected_refusal", non_retryable=True)
            case Fault.TIMEOUT:
                raise Unanswered
            case Fault.DEATH | Fault.CANCEL_AND_DEATH:
                self.case.doomed.add(self.call.saga.workflow_id)
                raise Died


UNDER_WAY: ContextVar[Attempt | None] = ContextVar("attempt_under_way", default=None)


class FaultyDatabase(Database):
    """The real one, which counts an attempt's transactions and lets them fail."""

    async def transact(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        attempt = UNDER_WAY.get()
        if attempt is None:
            return await super().transact(work)
        attempt.units += 1
        unit = attempt.units

        async def work_until_commit(session: AsyncSession) -> Result:
            watched = attempt.case.watched
            before = await _money(session, attempt.call.saga) if watched else None
            result = await work(session)
            await session.flush()
            if watched and await _money(session, attempt.call.saga) != before:
                attempt.case.money_movers.add((attempt.visit.saga_type, attempt.visit.step))
            await attempt.reach(before_commit(unit))
            return result

        result = await super().transact(work_until_commit)
        await attempt.reach(after_commit(unit))
        return result


async def _money(session: AsyncSession, saga: SagaInfo) -> Any:
    """Changes when any customer's money does: the counters only grow, or are held."""
    counters = (
        col(LedgerAccount.debits_posted),
        col(LedgerAccount.credits_posted),
        col(LedgerAccount.debits_pending),
    )
    query = select(*(func.sum(counter) for counter in counters)).where(
        col(LedgerAccount.tenant_id) == saga.tenant_id,
        col(LedgerAccount.account_id).is_not(None),
    )
    return tuple((await session.execute(query)).one())


class Injector(Interceptor):
    """Give it to the kit's worker, before any other."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _InjectingActivities(next, self._cases)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions[DIES] = self._cases.dies
        input.unsafe_extern_functions[HURRIES] = self._cases.hurries
        return HurriedWorkflows


class _InjectingActivities(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, cases: Cases) -> None:
        super().__init__(next)
        self._cases = cases

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        call: Any = input.args[0] if input.args else None
        case = self._cases.of(call.saga) if isinstance(call, StepCall) else None
        if case is None:
            return await self.next.execute_activity(input)
        name = activity.info().activity_type
        if name == MARK_STUCK:
            case.was_stuck = True
            case.stuck.put_nowait(call.saga.workflow_id)
        undo = call.failure is not None
        visit = Visit(call.saga.type, call.step, undo, engine=name in ENGINE)
        attempt = Attempt(case, call, visit)
        token = UNDER_WAY.set(attempt)
        try:
            return await self._attempt(attempt, input)
        finally:
            UNDER_WAY.reset(token)
            self._note(attempt, input)

    async def _attempt(self, attempt: Attempt, input: ExecuteActivityInput) -> Any:
        place = BEFORE
        try:
            await attempt.reach(BEFORE)
            place = ""
            result = await self.next.execute_activity(input)
            place = AFTER
            await attempt.reach(AFTER)
            return result
        except Unanswered:
            if place == BEFORE:
                attempt.case.zombies.append(self._zombie(input))
            return await _never_answer()
        except Died:
            # What was answered is with the engine; the task that hears of it is lost.
            return result if place == AFTER else await _die()

    def _zombie(self, input: ExecuteActivityInput) -> Callable[[], Awaitable[Any]]:
        """The attempt that nobody waits for any more, and that goes on when it is let."""
        let_go = asyncio.Event()

        async def go_on() -> Any:
            UNDER_WAY.set(None)
            await let_go.wait()
            return await self.next.execute_activity(input)

        task = asyncio.create_task(go_on())

        async def release() -> Any:
            let_go.set()
            return await task

        return release

    def _note(self, attempt: Attempt, input: ExecuteActivityInput) -> None:
        """Keep the first call of each activity, with the most units that an attempt had."""
        call, visit = attempt.call, attempt.visit
        key = (call.saga.workflow_id, call.step, visit.undo)
        before = attempt.case.calls.get(key)
        units = max(attempt.units, before.visit.units if before else 0)
        attempt.case.calls[key] = Call(replace(visit, units=units), input, self._again(input))

    def _again(self, input: ExecuteActivityInput) -> Callable[[], Awaitable[Any]]:
        # The context of this attempt goes with it: `activity.info()` must work.
        context = copy_context()

        async def run() -> Any:
            coroutine: Coroutine[Any, Any, Any] = self.next.execute_activity(input)
            return await asyncio.create_task(coroutine, context=context)

        return run


async def _never_answer() -> Any:
    until = activity.info().start_to_close_timeout
    if activity.info().is_local:  # Until the engine gives it up.
        assert until is not None
        await asyncio.sleep(until.total_seconds() * 3)
    activity.raise_complete_async()


async def _die() -> Any:
    if activity.info().is_local:  # It must end for the task to end, which loses what it says.
        raise ApplicationError("the process died", type=DIED, non_retryable=True)
    activity.raise_complete_async()
