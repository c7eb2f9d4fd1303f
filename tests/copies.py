"""A copy of our packages, for tests that change or extend the code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("domain", "storage", "activities", "workflows", "runtime", "worker", "api", "cli")
BIN = Path(sys.executable).parent


def copy_packages(to: Path, *more: str) -> Path:
    """The packages, the files that configure tools, and `more` beside them."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, *more):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, to / name)
    return to


def run(folder: Path, *command: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command there, with the folder first on Python's path; programs are our own."""
    program, *arguments = command
    found = BIN / program if (BIN / program).exists() else program
    return subprocess.run(
        [str(found), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), path)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
