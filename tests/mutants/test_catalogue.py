"""The mutants still apply. Whether they are caught, `make mutants` finds out."""

import ast
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 12
    assert len({one.bug for one in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one.bug for one in MUTANTS])
def test_the_bug_can_still_be_made(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()

    assert text.count(mutant.before) == 1, (
        f"{mutant.file} has changed: make the bug '{mutant.bug}' in its new text"
    )
    ast.parse(text.replace(mutant.before, mutant.after))
    assert (ROOT / mutant.caught_by.split()[0]).exists()
