"""`python -m conformance [SAGA ...]`: check these sagas, or all of them, on servers of its own.

`--write FILE` keeps how many points of each saga were visited, which `make test` then insists on.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from conformance.kit import Report, open_kit
from runtime.embedded import SEARCH_ATTRIBUTES, temporal_binary
from runtime.temporal import CONVERTER
from storage.migrate import upgrade
from workflows.registry import all_sagas

# A timer of ten milliseconds should not take the engine a second.
QUICK_TIMERS = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"')


@asynccontextmanager
async def engine() -> AsyncIterator[Client]:
    attributes = [
        part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")
    ]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_binary()),
        dev_server_extra_args=[*attributes, *QUICK_TIMERS],
        dev_server_log_level="error",
        data_converter=CONVERTER,
        runtime=Runtime(telemetry=QUIET),
    ) as environment:
        yield environment.client


# The engine reports every task that dies, and here they die by the hundred.
QUIET = TelemetryConfig(
    logging=LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
)


async def check(names: list[str], *, pairs: int) -> list[Report]:
    reports = []
    async with engine() as temporal:
        for name in names or sorted(all_sagas()):
            with TemporaryDirectory() as folder:
                url = f"sqlite+aiosqlite:///{folder}/conformance.db"
                await asyncio.to_thread(upgrade, url)
                async with open_kit(temporal, url) as kit:
                    report = await kit.check(all_sagas()[name], pairs=pairs)
            sys.stdout.write("\n  ".join([str(report), *report.violations]) + "\n")
            sys.stdout.flush()
            reports.append(report)
    return reports


def keep(points: dict[str, int], file: Path) -> None:
    kept = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(kept | points, indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("sagas", nargs="*", choices=[*all_sagas(), []])
    parser.add_argument("--pairs", type=int, default=0, help="so many pairs of faults, too")
    parser.add_argument("--write", type=Path, help="keep the numbers of points in this file")
    asked = parser.parse_args()
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    reports = asyncio.run(check(asked.sagas, pairs=asked.pairs))
    if asked.write:
        keep({report.saga: report.points for report in reports}, asked.write)
    sys.exit(1 if any(report.violations for report in reports) else 0)


if __name__ == "__main__":
    main()
