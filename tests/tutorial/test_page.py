"""docs/add-a-saga.md shows the code that is tested, and no other."""

import re
from pathlib import Path

import pytest

from cli.new_saga import draft_here
from tests.copies import ROOT

PAGE = ROOT / "docs" / "add-a-saga.md"
SHOWN = re.compile(
    r"<!-- (?:file (?P<path>\S+) )?from (?P<source>\S+) -->\n"
    r"```python\n(?P<code>.*?)```\n<!-- end -->\n",
    re.DOTALL,
)
# The tested test of the saga stands elsewhere than the reader's.
TESTED_IMPORTS = (
    "from tests.tutorial import loyalty_bonus as saga\nfrom worker.trial import Balance, trial\n"
)
READERS_IMPORTS = (
    "from worker.trial import Balance, trial\nfrom workflows.sagas import loyalty_bonus as saga\n"
)


def shown() -> list[re.Match[str]]:
    return list(SHOWN.finditer(PAGE.read_text()))


def test_every_block_of_python_says_where_it_is_from() -> None:
    assert len(shown()) == PAGE.read_text().count("```python") == 3


@pytest.mark.parametrize("block", shown(), ids=lambda block: str(block["source"]))
def test_the_page_shows_the_tested_code(block: re.Match[str]) -> None:
    assert block["code"] == source(block["source"]), "run: python -m tests.tutorial.test_page"


def source(name: str) -> str:
    """The code to show: a tested file, or what `new-saga` writes (which tests/cli tests)."""
    if name == "cli/templates/saga.txt":
        drafted = draft_here("loyalty_bonus", ROOT).written
        return drafted[ROOT / "workflows" / "sagas" / "loyalty_bonus.py"]
    return (ROOT / name).read_text().replace(TESTED_IMPORTS, READERS_IMPORTS)


def written(page: str) -> str:
    """The page with its blocks as they should be."""

    def fresh(block: re.Match[str]) -> str:
        head = block[0].partition("```python\n")[0]
        return f"{head}```python\n{source(block['source'])}```\n<!-- end -->\n"

    return SHOWN.sub(fresh, page)


if __name__ == "__main__":
    Path(PAGE).write_text(written(PAGE.read_text()))
