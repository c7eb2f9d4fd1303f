"""`python -m tests.replay.record [SAGA ...]`: record histories of every saga and outcome.

Each is a run of today's code, kept so that tomorrow's must be able to go on with it. Record anew
what was never released; where a released workflow changes, keep the old histories and change the
workflow by `workflow.patched`.
"""

import asyncio
import gzip
import sys
from pathlib import Path

from temporalio.client import WorkflowHistory

from conformance.checking import Run
from conformance.faults import BEFORE, Fault, Injection, Visit
from conformance.kit import Kit, open_kit
from conformance.running import Runner
from conformance.standalone import database_url, engine, quiet
from conformance.trials import examples_of
from domain.saga import SagaRequest
from workflows.registry import all_sagas
from workflows.saga_type import SagaType

HISTORIES = Path(__file__).parent / "histories"


def history_in(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, gzip.decompress(path.read_bytes()).decode())


async def record(kit: Kit, saga: SagaType) -> list[tuple[str, WorkflowHistory]]:
    """Every outcome of the saga, with its name."""
    examples = enumerate(examples_of(saga))
    found = await asyncio.gather(
        *(
            _record(kit.runner, saga, example, f"{saga.name}.{number}" if number else saga.name)
            for number, example in examples
        )
    )
    return [one for of_example in found for one in of_example]


async def _record(
    runner: Runner, saga: SagaType, example: SagaRequest, name: str
) -> list[tuple[str, WorkflowHistory]]:
    clean = await _run(runner, saga, example)
    outcomes = await _outcomes(runner, clean, example)
    runs = await asyncio.gather(
        *(_run(runner, saga, example, *ways, clean=clean) for _, ways in outcomes)
    )
    named = [("completed", clean), *zip((outcome for outcome, _ in outcomes), runs, strict=True)]
    return [(f"{name}.{outcome}", await _history(runner, run)) for outcome, run in named]


async def _history(runner: Runner, run: Run) -> WorkflowHistory:
    return await runner.temporal.get_workflow_handle(run.workflow_id).fetch_history()


async def _outcomes(
    runner: Runner, clean: Run, example: SagaRequest
) -> list[tuple[str, tuple[Injection, ...]]]:
    """What makes it end otherwise: a cancel, an outage, a no, and a no to the way back too."""
    own = [
        visit
        for visit in clean.case.visits
        if visit.saga_type == clean.saga.name and not visit.engine
    ]
    found: list[tuple[str, tuple[Injection, ...]]] = [
        ("cancelled", (_at(own[0], Fault.CANCEL),)),
        ("outage", (_at(own[0], Fault.OUTAGE),)),
    ]
    refusals = [_at(visit, Fault.REFUSAL) for visit in reversed(own)]
    runs = await asyncio.gather(
        *(_run(runner, clean.saga, example, no, clean=clean) for no in refusals)
    )
    for no, run in zip(refusals, runs, strict=True):
        if not run.completed:
            undos = [one for one in run.case.visits if one.undo]
            stuck = [("stuck", (no, _at(undos[-1], Fault.REFUSAL)))] if undos else []
            return [*found, ("refused", (no,)), *stuck]
    return found


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
    async with engine() as temporal, database_url() as url, open_kit(temporal, url) as kit:
        for name in names or sorted(all_sagas()):
            await _write(kit, all_sagas()[name])


async def _write(kit: Kit, saga: SagaType) -> None:
    for old in HISTORIES.glob(f"{saga.name}.*.json.gz"):
        old.unlink()
    histories = await record(kit, saga)
    for name, history in histories:
        packed = gzip.compress(history.to_json().encode(), mtime=0)
        (HISTORIES / f"{name}.json.gz").write_bytes(packed)
    sys.stdout.write(f"{saga.name}: {len(histories)} histories\n")


if __name__ == "__main__":
    with quiet():
        asyncio.run(main(sys.argv[1:]))
