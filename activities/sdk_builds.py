"""Build client packages: the generator and the packer run as programs of their own.

They get the API's document from the command line of this installation, so a package fits the very
code that runs; they see a folder of their own, and none of our settings. The same document makes
the same bytes: building twice is building once.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from domain.api_document import Document, narrowed
from domain.errors import Unavailable
from domain.partner import Module
from domain.sdk import BuiltPackage

PACKAGE_NAME: Final = "sagapost-client"
FOLDER: Final = "sagapost_client"
WITHIN_S: Final = 60
BUILDS_KEPT_MAX: Final = 8
SHOWN_MAX: Final = 2_000
# Every file of a package is as old as this: 1980, where the ZIP format's time begins.
EPOCH: Final = "315532800"
OURS: Final = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Package:
    """A package's facts and its bytes."""

    facts: BuiltPackage
    content: bytes


@dataclass
class SdkBuilds:
    """One per worker: builds one package at a time, and remembers the last few."""

    _made: dict[tuple[Module, ...], Package] = field(default_factory=dict)
    _document: Document | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def python(self, modules: tuple[Module, ...]) -> Package:
        """A wheel of these modules. Raises Unavailable if a program fails or takes too long."""
        async with self._lock:
            if modules not in self._made:
                if len(self._made) >= BUILDS_KEPT_MAX:
                    self._made.clear()
                self._document = self._document or await _api_document()
                self._made[modules] = await _wheel(narrowed(self._document, modules))
        return self._made[modules]


async def _api_document() -> Document:
    printed = await _run(["cli.main", "openapi"])
    document: Document = json.loads(printed)
    return document


async def _wheel(document: Document) -> Package:
    version = document["info"]["version"]
    with tempfile.TemporaryDirectory(prefix="sagapost-sdk-") as name:
        folder = Path(name)
        await asyncio.to_thread(_lay_out, folder, document)
        await _run(_generate(folder), home=folder)
        await _run(["flit_core.wheel", str(folder), "--outdir", str(folder / "dist")], home=folder)
        [file] = (folder / "dist").iterdir()
        content = await asyncio.to_thread(file.read_bytes)
    facts = BuiltPackage(
        language="python",
        api_version=version,
        version=version,
        package_name=PACKAGE_NAME,
        file=file.name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
    return Package(facts, content)


def _generate(folder: Path) -> list[str]:
    """A part of the document that the generator leaves out is a failure."""
    return [
        "openapi_python_client",
        "generate",
        *("--path", str(folder / "openapi.json")),
        *("--meta", "none"),
        *("--output-path", str(folder / FOLDER)),
        "--fail-on-warning",
    ]


def _lay_out(folder: Path, document: Document) -> None:
    (folder / "openapi.json").write_text(json.dumps(document))
    about = {"name": PACKAGE_NAME, "version": document["info"]["version"]}
    for name, template in _templates().items():
        text = template
        for key, value in about.items():
            text = text.replace(f"__{key.upper()}__", value)
        (folder / name).write_text(text)


@cache
def _templates() -> dict[str, str]:
    place = files("activities") / "templates" / "python_client"
    return {
        "pyproject.toml": (place / "pyproject.txt").read_text(),
        "README.md": (place / "readme.txt").read_text(),
    }


async def _run(module: Sequence[str], *, home: Path | None = None) -> str:
    """Run one of our interpreter's modules, and return what it printed."""
    environment = {name: os.environ[name] for name in OURS if name in os.environ}
    beside = str(Path(sys.executable).parent)  # The generator tidies up by `ruff`.
    environment |= {
        "PATH": os.pathsep.join([beside, environment.get("PATH", os.defpath)]),
        "SOURCE_DATE_EPOCH": EPOCH,
        "RUFF_NO_CACHE": "true",  # It would be packed, too.
        "PYTHONHASHSEED": "0",  # The generator writes some things in the order of a set.
    }
    if home is not None:
        environment["HOME"] = str(home)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", *module),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    printed, complained = await _ended(process, module[0])
    if process.returncode:
        raise _failed(module[0], complained or printed)
    return printed.decode()


async def _ended(process: asyncio.subprocess.Process, name: str) -> tuple[bytes, bytes]:
    """Nobody waits for a program that this leaves, so it ends in any case."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await process.communicate()
    except TimeoutError:
        raise _failed(name, f"not done within {WITHIN_S} s".encode()) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _failed(name: str, shown: bytes) -> Unavailable:
    text: Any = shown[-SHOWN_MAX:].decode(errors="replace").strip()
    return Unavailable("sdk_generator_unavailable", f"{name} failed: {text}")
