"""Every saga, at points where something can go wrong: each refusal, and one in six of the faults.

`make conformance` visits all of them (CONFORMANCE_ONE_IN=1 does so here).
"""

import json
import os
from pathlib import Path

import pytest
from temporalio.client import Client

from conformance import open_kit
from runtime.database import Database
from tests.figures import Figure
from workflows.registry import all_sagas

POINTS = Path(__file__).parents[1] / "data" / "conformance_points.json"
ONE_IN = int(os.environ.get("CONFORMANCE_ONE_IN", "6"))
COMMITTED: dict[str, int] = json.loads(POINTS.read_text())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(all_sagas()))
async def test_no_single_fault_breaks(
    name: str, temporal: Client, sqlite: Database, figure: Figure
) -> None:
    async with open_kit(temporal, sqlite.url) as kit:
        report = await kit.check(all_sagas()[name], one_in=ONE_IN)

    figure(str(report))
    assert not report.violations, "\n".join(report.violations)
    assert report.points >= COMMITTED.get(name, 1) // ONE_IN, fewer(name, report.points)


def fewer(name: str, points: int) -> str:
    return (
        f"{points} points of {name} were visited, {COMMITTED[name]} are committed: does its "
        f"example come to fewer steps? If that is meant: python -m conformance {name} "
        f"--write tests/data/{POINTS.name}"
    )
