"""Runs as the API accepts them, for tests that start where the API left off."""

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from domain.account import OpenAccountRequest
from domain.ids import new_uuid
from domain.saga import SagaRequest, SagaState
from runtime.database import Database
from storage.tables import SagaRun
from tests.conftest import TENANT


def accepted(saga_type: str, request: SagaRequest) -> SagaRun:
    return SagaRun(
        workflow_id=f"{saga_type}/{request.id}",
        tenant_id=TENANT,
        type=saga_type,
        state=SagaState.ACCEPTED,
        summary=f"{saga_type} for a test",
        request={"input": to_jsonable_python(request), "kept": {}},
        initiated_by="key_test",
    )


def an_account(balance_minor: int = 0) -> OpenAccountRequest:
    return OpenAccountRequest(
        id=new_uuid(), user_uuid=new_uuid(), initial_balance_minor=balance_minor
    )


async def accept(database: Database, run: SagaRun) -> str:
    async def add(session: AsyncSession) -> None:
        session.add(SagaRun(**run.model_dump()))

    await database.transact(add)
    return run.workflow_id


async def state_of(database: Database, workflow_id: str) -> str:
    async with database.read() as session:
        return str((await session.get_one(SagaRun, workflow_id)).state)
