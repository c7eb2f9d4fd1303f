"""Start a saga: accept it in one transaction, tell the engine, and wait if the caller wants to.

After the commit nothing can lose it: where the engine does not answer the worker starts it later,
and the caller is told 202 all the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from api.auth import Caller
from api.dependencies import Services, Shared
from api.errors import ApiError, refusal
from api.once import Once, OnceOnly, Reply
from domain.errors import AccountNotFound, Refused
from domain.saga import ENDED, SagaRequest, SagaState
from runtime.starting import start_run
from storage import ledger
from storage.accepting import accept, find_accepted
from storage.ledger_tables import Account
from storage.listing import find_own
from storage.tables import SagaRun

START_WITHIN: Final = timedelta(seconds=3)
WORKFLOW_ID: Final = "X-Workflow-Id"

logger = logging.getLogger("sagapost.api")

Body = TypeVar("Body", bound=BaseModel)
Render = Callable[[AsyncSession, SagaRun], Awaitable[Body]]


@dataclass(frozen=True)
class Order:
    """A saga that a caller asks for. `request` is what the engine gets; `kept` stays with us.

    `accounts` are the customer accounts that move money, and `subjects` those that it is about, by
    the field that named each; `check` says no before anything is written. `row` makes the row of
    the resource that it is about, where it has one. `completed_status` is what its outcome is
    answered with if it completed.
    """

    saga_type: str
    request: SagaRequest
    summary: str
    location: str
    kept: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    check: Callable[[AsyncSession], Awaitable[None]] | None = None
    row: Callable[[str], SQLModel] | None = None
    completed_status: int = 201

    @property
    def workflow_id(self) -> str:
        return f"{self.saga_type}/{self.request.id}"

    def run(self, caller: Caller) -> SagaRun:
        return SagaRun(
            workflow_id=self.workflow_id,
            tenant_id=caller.tenant_id,
            type=self.saga_type,
            state=SagaState.ACCEPTED,
            summary=self.summary,
            request={"input": to_jsonable_python(self.request), "kept": self.kept},
            initiated_by=caller.key_id,
        )

    def rows(self, caller: Caller) -> Sequence[SQLModel]:
        return [self.row(caller.tenant_id)] if self.row else []


class Starter:
    """Starts sagas for one request."""

    def __init__(self, shared: Services, once: Once, caller: Caller) -> None:
        self._shared = shared
        self._once = once
        self._caller = caller

    async def start(
        self,
        order: Order,
        kind: type[Body],
        render: Render[Body],
        *,
        wait: float | None = None,
        must_complete: bool = False,
    ) -> Body:
        """Answer 202 with the resource as accepted; or, having waited, 201 with the outcome.

        `must_complete`: an outcome other than completed is answered as the error it is.
        """

        accepted: dict[str, SagaRun] = {}

        async def work(session: AsyncSession) -> Reply[Body]:
            run = await _accept(session, order, self._caller)
            accepted[run.workflow_id] = run
            headers = {"Location": order.location, WORKFLOW_ID: run.workflow_id}
            return Reply(await render(session, run), 202, headers)

        reply = await self._once.commit(kind, work)
        if reply.status == 202:
            workflow_id = reply.headers[WORKFLOW_ID]
            await self._tell_engine(accepted.get(workflow_id) or await self._known(workflow_id))
            if wait and await self._ends_within(workflow_id, wait):
                reply = await self._outcome(order, reply, render, must_complete=must_complete)
        return self._once.send(reply)

    async def _known(self, workflow_id: str) -> SagaRun:
        """The answer was given before: the run may be over by now."""
        async with self._shared.database.read() as session:
            return await session.get_one(SagaRun, workflow_id)

    async def _tell_engine(self, run: SagaRun) -> None:
        if run.state != SagaState.ACCEPTED:
            return
        try:
            async with asyncio.timeout(START_WITHIN.total_seconds()):
                await start_run(self._shared.temporal, run)
        except (RPCError, RuntimeError, TimeoutError) as error:
            facts = {"workflow_id": run.workflow_id, "error": str(error)}
            logger.warning("start postponed", extra=facts)

    async def _ends_within(self, workflow_id: str, seconds: float) -> bool:
        handle = self._shared.temporal.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(seconds):
                with suppress(WorkflowFailureError):
                    await handle.result()
        except (RPCError, RuntimeError, TimeoutError):
            return False
        return True

    async def _outcome(
        self, order: Order, accepted: Reply[Body], render: Render[Body], *, must_complete: bool
    ) -> Reply[Body]:
        async with self._shared.database.read() as session:
            run = await session.get_one(SagaRun, accepted.headers[WORKFLOW_ID])
            if run.state not in ENDED:
                return accepted
            body = await render(session, run)
        completed = run.state == SagaState.COMPLETED
        if must_complete and not completed:
            raise failure_of(run)
        reply = replace(accepted, body=body, status=order.completed_status if completed else 200)
        await self._once.settle(reply)
        return reply


def starter(request: Request, shared: Shared, once: OnceOnly) -> Starter:
    return Starter(shared, once, request.state.caller)


Starting = Annotated[Starter, Depends(starter)]


def business_id(run: SagaRun) -> str:
    """The id of what the run is about. On a replay it is not the order's: that is a new one."""
    return run.workflow_id.partition("/")[2]


def failure_of(run: SagaRun) -> ApiError:
    """A saga that did not complete, as an error."""
    failure = run.failure or {}
    text = str(failure.get("text") or f"{run.workflow_id} ended as {run.state}")
    code = str(failure.get("code") or run.state)
    details = {**failure.get("details", {}), "workflow_id": run.workflow_id}
    return ApiError(text, details=details).under(422, code)


async def _accept(session: AsyncSession, order: Order, caller: Caller) -> SagaRun:
    run = order.run(caller)
    known = await find_accepted(session, run)
    if known is not None:
        return known
    await _check_accounts(session, order, caller)
    if order.check is not None:
        await order.check(session)
    await accept(session, run, order.rows(caller))
    return run


async def _check_accounts(session: AsyncSession, order: Order, caller: Caller) -> None:
    """A clear no at once; the saga checks again when it matters."""
    for name, account_id in order.accounts.items():
        try:
            await ledger.check_accounts(session, caller.tenant_id, [account_id])
        except Refused as refused:
            raise refusal(refused, field=name) from None
    for name, account_id in order.subjects.items():
        if await find_own(session, Account, account_id, caller.tenant_id) is None:
            raise refusal(AccountNotFound(account_id), field=name)
