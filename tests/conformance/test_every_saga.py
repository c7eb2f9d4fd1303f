"""Every saga, with every single fault at every point; several in a run, where it gets over them.

`make conformance` gives each a run of its own.
"""

import json
from pathlib import Path

import pytest
from temporalio.client import Client

from conformance import open_kit
from runtime.database import Database
from tests.figures import Figure
from workflows.registry import all_sagas

POINTS = Path(__file__).parents[1] / "data" / "conformance_points.json"
COMMITTED: dict[str, int] = json.loads(POINTS.read_text())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(all_sagas()))
async def test_no_single_fault_breaks(
    name: str, temporal: Client, sqlite: Database, figure: Figure
) -> None:
    async with open_kit(temporal, sqlite.url) as kit:
        report = await kit.check(all_sagas()[name], alone=False)

    figure(str(report))
    assert not report.violations, "\n".join(report.violations)
    assert report.points >= COMMITTED.get(name, 1), fewer(name, report.points)


def fewer(name: str, points: int) -> str:
    return (
        f"{points} points of {name} were visited, {COMMITTED[name]} are committed: does its "
        f"example come to fewer steps? If that is meant: python -m conformance {name} "
        f"--write tests/data/{POINTS.name}"
    )
