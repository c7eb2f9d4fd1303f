"""`make mutants`: make each bug in a copy of the code, and see whether its tests notice.

    python -m tests.mutants [WORD ...]     only bugs with one of these words in their names

Each selection of tests is also run on the code as it is: a test that always fails catches nothing.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.copies import copy_packages, run
from tests.mutants.catalogue import MUTANTS, Mutant

BESIDE = ("tests", "conformance", "pyproject.toml")
AT_ONCE = max(1, (os.cpu_count() or 2) // 2)
FAILED, PASSED = 1, 0


def main(words: list[str]) -> int:
    chosen = [one for one in MUTANTS if not words or any(word in one.bug for word in words)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        selections = dict.fromkeys(one.caught_by for one in chosen)
        sound = dict(zip(selections, pool.map(passes_as_it_is, selections), strict=True))
        caught = sum(pool.map(lambda one: try_out(one, sound=sound[one.caught_by]), chosen))
    sys.stdout.write(f"{caught} of {len(chosen)} caught\n")
    return 0 if caught == len(chosen) else 1


def passes_as_it_is(selection: str) -> bool:
    with TemporaryDirectory() as folder:
        code, told = run_tests(copy_packages(Path(folder), *BESIDE), selection)
    if code != PASSED:
        sys.stdout.write(f"pytest {selection} fails although nothing was changed:\n{told}\n")
    return code == PASSED


def try_out(mutant: Mutant, *, sound: bool) -> bool:
    """True if the tests failed, and only because of the bug."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        root = copy_packages(Path(folder), *BESIDE)
        make(mutant, root)
        code, told = run_tests(root, mutant.caught_by)
    caught = sound and code == FAILED
    word = "caught" if caught else "MISSED"
    sys.stdout.write(f"{word} ({time.monotonic() - began:.0f} s): {mutant.bug}\n")
    if code not in (PASSED, FAILED):
        sys.stdout.write(f"pytest could not run:\n{told}\n")
    sys.stdout.flush()
    return caught


def make(mutant: Mutant, root: Path) -> None:
    path = root / mutant.file
    text = path.read_text()
    assert text.count(mutant.before) == 1, f"{mutant.file} has changed: {mutant.bug}"
    path.write_text(text.replace(mutant.before, mutant.after))


def run_tests(root: Path, selection: str) -> tuple[int, str]:
    options = ("-x", "-q", "-p", "no:cacheprovider", "--tb=line")
    done = run(root, sys.executable, "-m", "pytest", *selection.split(), *options)
    return done.returncode, (done.stdout + done.stderr)[-2_000:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
