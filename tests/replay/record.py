"""`python -m tests.replay.record [SAGA ...]`: record histories of every saga and outcome.

Each is a run of today's code, kept so that tomorrow's must be able to go on with it. Record anew
what was never released; where a released workflow changes, keep the old histories and change the
workflow by `workflow.patched`.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import WorkflowHistory

from conformance.__main__ import engine
from conformance.checking import Run
from conformance.faults import BEFORE, Fault, Injection, Visit
from conformance.kit import Kit, examples_of, open_kit
from conformance.running import Runner
from domain.saga import SagaRequest
from storage.migrate import upgrade
from workflows.registry import all_sagas
from workflows.saga_type import SagaType

HISTORIES = Path(__file__).parent / "histories"


async def record(kit: Kit, saga: SagaType) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    """Every outcome of the saga, with its name: the children's histories too."""
    runner = kit.runner
    for number, example in enumerate(examples_of(saga)):
        name = f"{saga.name}.{number}" if number else saga.name
        clean = await _run(runner, saga, example)
        async for outcome, history in _histories(runner, clean):
            yield f"{name}.completed{outcome}", history
        for outcome, injections in _outcomes(saga, clean):
            run = await _run(runner, saga, example, *injections, clean=clean)
            async for whose, history in _histories(runner, run):
                yield f"{name}.{outcome}{whose}", history


async def _histories(runner: Runner, run: Run) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    """Its own, and its children's."""
    for workflow_id, story in run.after.stories.items():
        whose = "" if workflow_id == run.workflow_id else f".{story.type}"
        handle = runner.temporal.get_workflow_handle(workflow_id)
        yield whose, await handle.fetch_history()


def _outcomes(saga: SagaType, clean: Run) -> Iterator[tuple[str, tuple[Injection, ...]]]:
    """What makes it end otherwise: a no, a cancel, an outage, and a no to the way back."""
    own = [one for one in clean.case.visits if one.saga_type == saga.name and not one.engine]
    steps = {step.name: step for step in saga.steps}
    for visit in own:
        yield f"refused_at_{visit.step}", (_at(visit, Fault.REFUSAL),)
    yield "cancelled", (_at(own[0], Fault.CANCEL),)
    yield "outage", (_at(own[0], Fault.OUTAGE),)
    first, last = own[0], own[-1]
    if first.step in steps and steps[first.step].compensation is not None and last is not first:
        undo = Visit(saga.name, first.step, undo=True)
        yield "stuck", (_at(own[1], Fault.REFUSAL), _at(undo, Fault.REFUSAL))


def _at(visit: Visit, fault: Fault) -> Injection:
    return Injection(visit.at(BEFORE), fault)


async def _run(
    runner: Runner,
    saga: SagaType,
    example: SagaRequest,
    *injections: Injection,
    clean: Run | None = None,
) -> Run:
    finished = await runner.run(saga, example, *injections, clean=clean)
    [run] = await runner.see([finished])
    return run


async def main(names: list[str]) -> None:
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    async with engine() as temporal:
        with TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/record.db"
            await asyncio.to_thread(upgrade, url)
            async with open_kit(temporal, url) as kit:
                for name in names or sorted(all_sagas()):
                    await _write(kit, all_sagas()[name])


async def _write(kit: Kit, saga: SagaType) -> None:
    for old in HISTORIES.glob(f"{saga.name}.*.json"):
        old.unlink()
    count = 0
    async for name, history in record(kit, saga):
        (HISTORIES / f"{name}.json").write_text(history.to_json())
        count += 1
    sys.stdout.write(f"{saga.name}: {count} histories\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
