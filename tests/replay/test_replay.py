"""Workflows of yesterday must go on with the code of today: histories are replayed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from conformance import open_kit
from runtime.database import Database
from runtime.temporal import CONVERTER, workflow_runner
from tests.replay.broken import PatientTransfer
from tests.replay.record import HISTORIES, history_in, record
from workflows.registry import all_sagas, saga_workflows

RECORDED = sorted(HISTORIES.glob("*.json.gz"))
HISTORIES_MIN = 30
SAGAS_RECORDED = {path.name.partition(".")[0] for path in RECORDED}


def with_those_recorded_in_a_release_only() -> list[Any]:
    """Every saga. One whose histories are not recorded yet has no other proof in `make test`."""
    return [
        pytest.param(name, marks=[pytest.mark.conformance] if name in SAGAS_RECORDED else [])
        for name in sorted(all_sagas())
    ]


@pytest.mark.parametrize("path", RECORDED, ids=[path.name for path in RECORDED])
async def test_a_recorded_history_replays(path: Path) -> None:
    """If it does not, and that version was released: change the workflow by `workflow.patched`.

    If it was not: `python -m tests.replay.record`.
    """
    await replayer(saga_workflows()).replay_workflow(history_in(path))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", with_those_recorded_in_a_release_only())
async def test_what_a_saga_does_today_replays_in_every_outcome(
    name: str, temporal: Client, sqlite: Database
) -> None:
    async with open_kit(temporal, sqlite.url) as kit:
        histories = await record(kit, all_sagas()[name])

    assert len(histories) >= 3
    replays = replayer(saga_workflows())
    for _, history in histories:
        await replays.replay_workflow(history)


def test_there_is_a_history_of_every_kind_of_end() -> None:
    kinds = {path.name.split(".")[-3] for path in RECORDED}

    assert len(RECORDED) >= HISTORIES_MIN
    assert {"completed", "refused", "cancelled", "outage", "stuck"} <= kinds


async def test_a_workflow_that_was_changed_carelessly_is_caught() -> None:
    history = history_in(HISTORIES / "transfer.completed.json.gz")

    with pytest.raises(NondeterminismError):
        await replayer([PatientTransfer]).replay_workflow(history)


def replayer(workflows: Sequence[type]) -> Replayer:
    return Replayer(
        workflows=workflows, data_converter=CONVERTER, workflow_runner=workflow_runner()
    )
