"""What production installs is what was tested, byte for byte."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9._-]+")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\Z")


def pins(name: str) -> dict[str, str]:
    return {spelt(found): version for found, version in PIN.findall((ROOT / name).read_text())}


def spelt(name: str) -> str:
    """One spelling of each name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_pins_what_was_tested() -> None:
    tested = pins("constraints.txt")

    assert pins("requirements.lock").items() <= tested.items(), "run: make lock"


def test_the_lock_holds_everything_that_we_depend_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {spelt(NAME.findall(line)[0]) for line in project["dependencies"]}

    assert wanted <= pins("requirements.lock").keys(), "run: make lock"


def test_every_pin_has_hashes_and_nothing_else_is_in_the_lock() -> None:
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")

    for line in text.splitlines():
        pin, *hashes = line.split("--hash")
        assert PIN.match(pin), line[:80]
        assert hashes, line[:80]
        assert all(HASH.match(f"--hash{found.strip()}") for found in hashes), line[:80]
