"""Ask other sagas to turn back."""

from collections.abc import Iterable
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError

from workflows.uninterrupted import finish


async def call_off(workflow_ids: Iterable[str]) -> None:
    """Ask each; one that has ended meanwhile, or is past its pivot, need not listen."""
    await finish(_ask_each(workflow_ids))


async def _ask_each(workflow_ids: Iterable[str]) -> None:
    for workflow_id in workflow_ids:
        with suppress(FailureError):  # There is no such run any more.
            await workflow.get_external_workflow_handle(workflow_id).cancel()
