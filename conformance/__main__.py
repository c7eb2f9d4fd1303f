"""`python -m conformance [SAGA ...]`: check these sagas, or all of them, on servers of its own.

`--write FILE` keeps how many points of each saga were visited, which `make test` then insists on.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from conformance.kit import Report, open_kit
from conformance.standalone import database_url, engine, quiet
from workflows.registry import all_sagas


async def check(names: list[str], *, pairs: int) -> list[Report]:
    reports = []
    async with engine() as temporal:
        for name in names or sorted(all_sagas()):
            async with database_url() as url, open_kit(temporal, url) as kit:
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
    with quiet():
        reports = asyncio.run(check(asked.sagas, pairs=asked.pairs))
    if asked.write:
        keep({report.saga: report.points for report in reports}, asked.write)
    sys.exit(1 if any(report.violations for report in reports) else 0)


if __name__ == "__main__":
    main()
