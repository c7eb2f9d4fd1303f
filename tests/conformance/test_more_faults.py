"""What `make conformance` adds: every single fault, pairs of them, and PostgreSQL."""

import os

import pytest
from temporalio.client import Client

from conformance import open_kit
from runtime.database import Database
from tests.conformance.test_every_saga import COMMITTED, fewer
from tests.figures import Figure
from workflows.registry import all_sagas

PAIRS = int(os.environ.get("CONFORMANCE_PAIRS", "40"))
SEED = int(os.environ.get("CONFORMANCE_SEED", "20261123"))

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("name", sorted(all_sagas()))
async def test_no_pair_of_faults_breaks_on_either_database(
    name: str, temporal: Client, database: Database, figure: Figure
) -> None:
    async with open_kit(temporal, database.url) as kit:
        report = await kit.check(all_sagas()[name], pairs=PAIRS, seed=SEED)

    figure(f"{report}, seed {SEED}")
    assert not report.violations, "\n".join(report.violations)
    assert report.points >= COMMITTED.get(name, 1), fewer(name, report.points)
