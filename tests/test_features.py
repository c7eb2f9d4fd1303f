"""The page of features: each link leads somewhere, each named test is there, each line says where.

What is not built must say so in plain words.
"""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/features.md"
LINK = re.compile(r"\[(`?)([^\]`]+)`?\]\(([^)#]+)[^)]*\)")
LINE = re.compile(r"(?:\* |\d+\. )(.+)")
NOT_BUILT = "**: not built. "


def lines() -> list[str]:
    return [found[1] for line in PAGE.read_text().splitlines() if (found := LINE.match(line))]


def test_each_link_leads_somewhere() -> None:
    for line in lines():
        for _, _, path in LINK.findall(line):
            assert (PAGE.parent / path).resolve().is_file(), f"{path}: no such file"


def test_each_test_that_is_named_is_in_its_file() -> None:
    for line in lines():
        for quote, name, path in LINK.findall(line):
            if quote:
                text = (PAGE.parent / path).read_text()
                assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{path}: {name}"


def test_each_feature_is_shown_by_a_test_or_is_not_built() -> None:
    assert len(lines()) > 70
    for line in lines():
        shown = [name for quote, name, _ in LINK.findall(line) if quote]
        assert bool(shown) != (NOT_BUILT in line), f"say which test shows it: {line}"
