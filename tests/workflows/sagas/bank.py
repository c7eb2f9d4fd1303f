"""A bank to try sagas in: open accounts, run a saga, and read what the books and the story say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import ConnectorRefused
from domain.ids import new_uuid
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money, parse_amount
from domain.saga import SagaRequest, SagaState, StepCall
from runtime.database import Database
from storage import ledger
from storage.ledger_tables import Account, LedgerAccount
from storage.tables import Event, SagaRun, SagaStep
from tests.conftest import TENANT
from workflows.progress import first_attributes

PATIENCE_S = 20


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what was told of it."""

    workflow_id: str
    state: str
    result: dict[str, Any]
    failure: dict[str, Any]
    story: list[tuple[str, dict[str, Any]]]
    steps: dict[str, str]

    @property
    def code(self) -> str:
        return str(self.failure["code"])

    @property
    def types(self) -> list[str]:
        return [type for type, _ in self.story]

    def told(self, event_type: str) -> dict[str, Any]:
        """The data of the one event of this type."""
        [found] = [data for type, data in self.story if type == event_type]
        return found

    def told_all(self, event_type: str) -> list[dict[str, Any]]:
        return [data for type, data in self.story if type == event_type]


class Refusals(Interceptor, ActivityInboundInterceptor):
    """Lets a step of one run be refused that would not be, to see what is undone then."""

    def __init__(self) -> None:
        self.steps: dict[str, str] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        self.next = next
        return self

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        call = input.args[0]
        if isinstance(call, StepCall) and call.failure is None and call.key in self.steps:
            raise ConnectorRefused(self.steps[call.key], "refused for a test")
        return await self.next.execute_activity(input)


@dataclass(frozen=True)
class Bank:
    temporal: Client
    database: Database
    queue: str
    refusals: Refusals

    async def account(
        self, money: str | None = None, *, status: str = "active", **columns: Any
    ) -> str:
        """A new account; `money` is like "500.00 USD". Returns its id."""
        account_id = new_uuid()
        row = {"user_uuid": new_uuid(), "name": "Test", "status": status, **columns}

        async def work(session: AsyncSession) -> None:
            session.add(Account(id=account_id, tenant_id=TENANT, **row))
            await session.flush()
            if money:
                await self._fund(session, account_id, money)

        await self.database.transact(work)
        return account_id

    async def fund(self, account_id: str, money: str) -> None:
        await self.database.transact(lambda session: self._fund(session, account_id, money))

    async def _fund(self, session: AsyncSession, account_id: str, text: str) -> None:
        money = money_of(text)
        entry = move(
            f"fund/{new_uuid()}",
            "deposit",
            debit=bank_account_id(TENANT, "cash", money.asset_code),
            credit=ledger_account_id(account_id, money.asset_code),
            money=money,
        )
        await ledger.post(session, entry, tenant_id=TENANT)

    async def add(self, *rows: SQLModel) -> None:
        async def work(session: AsyncSession) -> None:
            session.add_all(rows)

        await self.database.transact(work)

    async def change(self, kind: type[SQLModel], key: Any, **values: Any) -> None:
        async def work(session: AsyncSession) -> None:
            row = await session.get_one(kind, key)
            for name, value in values.items():
                setattr(row, name, value)

        await self.database.transact(work)

    async def start(
        self, saga_type: str, request: SagaRequest, *, refuse: str = "", **kept: Any
    ) -> WorkflowHandle[Any, Any]:
        """As the API does it: accept the run, then start it. `refuse` names a step to refuse."""
        if not request.id:
            request = replace(request, id=new_uuid())
        if refuse:
            self.refusals.steps[f"{saga_type}/{request.id}/{refuse}"] = "refused_by_test"
        run = SagaRun(
            workflow_id=f"{saga_type}/{request.id}",
            tenant_id=TENANT,
            type=saga_type,
            state=SagaState.ACCEPTED,
            request={"input": to_jsonable_python(request), "kept": kept},
            initiated_by="key_test",
        )
        await self.add(run)
        return await self.temporal.start_workflow(
            saga_type,
            request,
            id=f"{saga_type}/{request.id}",
            task_queue=self.queue,
            memo={"tenant_id": TENANT, "initiated_by": "key_test"},
            search_attributes=first_attributes(saga_type, TENANT, request.id),
            result_type=dict,
        )

    async def run(
        self, saga_type: str, request: SagaRequest, *, refuse: str = "", **kept: Any
    ) -> Outcome:
        return await self.end_of(await self.start(saga_type, request, refuse=refuse, **kept))

    async def end_of(self, handle: WorkflowHandle[Any, Any]) -> Outcome:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await handle.result()
        except WorkflowFailureError:
            pass
        return await self.outcome(handle.id)

    async def outcome(self, workflow_id: str) -> Outcome:
        async with self.database.read() as session:
            run = await session.get_one(SagaRun, workflow_id)
            events = await session.scalars(
                select(Event)
                .where(col(Event.workflow_id) == workflow_id)
                .order_by(col(Event.sequence))
            )
            steps = await session.scalars(
                select(SagaStep).where(col(SagaStep.workflow_id) == workflow_id)
            )
            return Outcome(
                workflow_id,
                run.state,
                run.result or {},
                run.failure or {},
                [(event.type, json.loads(event.body or b"{}")["data"]) for event in events],
                {step.name: step.state for step in steps},
            )

    async def row(self, kind: type[Any], key: Any) -> Any:
        async with self.database.read() as session:
            return await session.get(kind, key)

    async def balance(self, account_id: str, asset_code: str = "USD") -> tuple[str, str]:
        """Posted and held, in major units."""
        row = await self.row(LedgerAccount, ledger_account_id(account_id, asset_code))
        if row is None:
            return Money(0, asset_code).decimal, Money(0, asset_code).decimal
        posted = Money(row.credits_posted - row.debits_posted, asset_code)
        return posted.decimal, Money(row.debits_pending, asset_code).decimal

    async def until_state(self, kind: type[Any], key: Any, status: str) -> None:
        """Wait until the row has this status."""

        async def reached() -> bool:
            return getattr(await self.row(kind, key), "status", None) == status

        await until(reached)

    async def until_begun(self, workflow_id: str) -> None:
        """Wait until the run has told that it began."""

        async def reached() -> bool:
            return getattr(await self.row(SagaRun, workflow_id), "started_at", None) is not None

        await until(reached)

    async def until_step(
        self, handle: WorkflowHandle[Any, Any], step: str, state: str = "running"
    ) -> None:
        """Wait until the saga says of its step that it is in this state."""

        async def reached() -> bool:
            view = await handle.query("progress")
            return {"step": step, "state": state} in view["steps"]

        await until(reached)


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await reached():
                return
            await asyncio.sleep(0.02)


def money_of(text: str) -> Money:
    amount, _, asset_code = text.partition(" ")
    return parse_amount(amount, asset_code)
