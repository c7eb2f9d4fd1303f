"""Steer a run: cancel it, send it a signal, ask it by an update. The engine is asked, nobody else.

A refusal is the run's own answer, or that there is nothing to steer any more.
"""

from datetime import timedelta
from typing import Any, ClassVar, Final

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Refused
from domain.saga import ENDED, SagaState
from runtime.starting import start_run
from storage.tables import SagaRun

ASKED_FOR: Final = timedelta(seconds=5)
ANSWERED_WITHIN: Final = timedelta(seconds=10)
# The SDK's words for an update that came with the first task, before the run set its handlers.
NOT_LISTENING: Final = "expected but not found"


class RunEnded(Refused):
    """Too late: a run that has ended cannot be steered."""

    code: ClassVar[str] = "workflow_ended"

    def __init__(self, workflow_id: str, state: str) -> None:
        super().__init__(f"{workflow_id} has ended: nothing can be changed", state=state)


class RunRefused(Refused):
    """The run itself said no: it is not stuck, it does not wait for that, …"""

    code: ClassVar[str] = "workflow_refused"

    def __init__(self, text: str, code: str | None) -> None:
        super().__init__(text)
        self._code = code or self.code

    @property
    def reason_code(self) -> str:
        return self._code


class NoWorkerAnswers(Exception):
    """The engine took the question, and no worker has answered it in time."""


async def cancel(temporal: Client, run: SagaRun) -> None:
    """Ask it to turn back. What was not even started is started, so that it tells its end.

    Raises RunEnded, RPCError.
    """
    if run.state in ENDED:
        raise RunEnded(run.workflow_id, run.state)
    try:
        await temporal.get_workflow_handle(run.workflow_id).cancel(rpc_timeout=ASKED_FOR)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        if run.state != SagaState.ACCEPTED:
            raise RunEnded(run.workflow_id, run.state) from None
        await start_run(temporal, run)
        await temporal.get_workflow_handle(run.workflow_id).cancel(rpc_timeout=ASKED_FOR)


async def signal(temporal: Client, run: SagaRun, name: str, given: list[Any]) -> None:
    """Raises RunEnded, RPCError."""
    handle = temporal.get_workflow_handle(run.workflow_id)
    try:
        await handle.signal(name, args=given, rpc_timeout=ASKED_FOR)
    except RPCError as error:
        raise _ended(error, run) from None


async def ask(
    temporal: Client, run: SagaRun, name: str, given: list[Any], *, key: str | None = None
) -> Any:
    """Send an update and return its answer. The same `key` again asks once.

    Raises RunRefused, RunEnded, NoWorkerAnswers, RPCError.
    """
    handle = temporal.get_workflow_handle(run.workflow_id)
    try:
        return await handle.execute_update(name, args=given, id=key, rpc_timeout=ANSWERED_WITHIN)
    except WorkflowUpdateFailedError as failed:
        cause = failed.cause
        code = cause.type if isinstance(cause, ApplicationError) else None
        text = cause.message if isinstance(cause, ApplicationError) else str(cause)
        if NOT_LISTENING in text:
            just_begun = f"{run.workflow_id} has only just begun: try again"
            raise RunRefused(just_begun, "not_awaited") from None
        raise RunRefused(text, code) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise NoWorkerAnswers(f"no worker answers for {run.workflow_id}: try again") from None
    except RPCError as error:
        raise _ended(error, run) from None


def _ended(error: RPCError, run: SagaRun) -> Exception:
    gone = error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)
    return RunEnded(run.workflow_id, run.state) if gone else error
