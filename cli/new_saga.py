"""`sagapost new-saga`: a saga to begin with, and a test that passes."""

import keyword
import re
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from cli.console import refuse, screen

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
NAME_CHARACTERS_MAX = 50
ENTRY_POINTS = '[project.entry-points."sagapost.sagas"]'

Name = Annotated[str, typer.Argument(help="What it does, like collect_dues.")]
Package = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write it for a package of its own, in this folder."),
]


@dataclass
class Draft:
    """The files to write. `edited` are there already; of the others none may be."""

    written: dict[Path, str] = field(default_factory=dict)
    edited: dict[Path, str] = field(default_factory=dict)


class CannotDraft(Exception):
    """Something must be corrected first; the text says what."""


def new_saga(name: Name, package: Package = None) -> None:
    """Write a saga of one file and its test. It runs as it is: change it from there."""
    try:
        check_name(name)
        root = Path.cwd() if package is None else package
        draft = draft_here(name, root) if package is None else draft_package(name, root)
        write(draft)
    except CannotDraft as error:
        refuse(str(error))
    for path in [*draft.written, *draft.edited]:
        screen.print(f"wrote {path.relative_to(root)}")
    if package is None:
        screen.print(f"try it: python -m pytest tests/workflows/sagas/test_{name}.py")
    else:
        screen.print(f"try it: cd {package} && pip install -e '.[dev]' && python -m pytest")
    screen.print("docs/add-a-saga.md goes on from here")


def check_name(name: str) -> None:
    """Raises CannotDraft."""
    from workflows.registry import all_sagas, all_workflows

    if not NAME.match(name) or keyword.iskeyword(name) or len(name) > NAME_CHARACTERS_MAX:
        like = re.sub(r"[^a-z0-9]+", "_", _snake(name)).strip("_") or "collect_dues"
        raise CannotDraft(
            f"{name!r} will not do: a saga's name is a verb phrase in small letters and "
            f"underscores, at most {NAME_CHARACTERS_MAX} characters, like {like}"
        )
    taken = {workflow.__name__ for workflow in all_workflows()}
    if name in all_sagas() or class_name(name) in taken:
        raise CannotDraft(f"there is a workflow called {name} already")


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def draft_here(name: str, root: Path) -> Draft:
    """For this repository. Raises CannotDraft."""
    if not (root / "workflows" / "sagas").is_dir() or not (root / "activities").is_dir():
        raise CannotDraft(
            f"{root} is not a checkout of Sagapost: go there, "
            "or give --package DIR to write the saga for a package of your own"
        )
    tests = root / "tests" / "workflows" / "sagas"
    draft = Draft()
    draft.written[root / "workflows" / "sagas" / f"{name}.py"] = _saga(name)
    draft.written[tests / f"test_{name}.py"] = _test(
        name, f"from workflows.sagas import {name} as saga"
    )
    if not (tests / "__init__.py").exists():
        draft.edited[tests / "__init__.py"] = ""
    return draft


def draft_package(name: str, root: Path) -> Draft:
    """For a package of its own, new or begun before. Raises CannotDraft."""
    base = root / "src" if (root / "src").is_dir() else root
    package = _package_in(base, root)
    draft = Draft()
    draft.written[base / package / f"{name}.py"] = _saga(name)
    draft.written[root / "tests" / f"test_{name}.py"] = _test(
        name, f"\nfrom {package} import {name} as saga"
    )
    if not (base / package / "__init__.py").exists():
        draft.edited[base / package / "__init__.py"] = ""
    project = root / "pyproject.toml"
    if project.exists():
        draft.edited[project] = with_entry_point(project.read_text(), name, package)
    else:
        distribution = package.replace("_", "-")
        names = {"name": name, "package": package, "distribution": distribution}
        draft.written[project] = _filled("pyproject.txt", names)
    return draft


def with_entry_point(project: str, name: str, package: str) -> str:
    """The text of a pyproject.toml with one saga more. Raises CannotDraft."""
    line = f'{name} = "{package}.{name}"'
    if ENTRY_POINTS in project:
        changed = project.replace(ENTRY_POINTS, f"{ENTRY_POINTS}\n{line}", 1)
    else:
        changed = f"{project.rstrip()}\n\n{ENTRY_POINTS}\n{line}\n"
    try:
        found = tomllib.loads(changed)["project"]["entry-points"]["sagapost.sagas"][name]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        found = ""
    if found != f"{package}.{name}":
        raise CannotDraft(f"add to pyproject.toml, under {ENTRY_POINTS}: {line}")
    return changed


def write(draft: Draft) -> None:
    """All files or none. Raises CannotDraft."""
    for path in draft.written:
        if path.exists():
            raise CannotDraft(f"{path} is there already: choose another name, or delete it first")
    for path, text in [*draft.written.items(), *draft.edited.items()]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _package_in(base: Path, root: Path) -> str:
    """The package that the folder holds, or is to hold. Raises CannotDraft."""
    found = sorted(path.parent.name for path in base.glob("*/__init__.py"))
    found = [name for name in found if name != "tests"]
    if len(found) > 1:
        raise CannotDraft(
            f"{root} holds several packages ({', '.join(found)}): which one is meant?"
        )
    package = found[0] if found else re.sub(r"\W+", "_", _snake(root.resolve().name)).strip("_")
    if not package.isidentifier() or keyword.iskeyword(package):
        raise CannotDraft(f"{root.resolve().name!r} is no name for a package")
    return package


def _saga(name: str) -> str:
    return _filled("saga.txt", {"name": name})


def _test(name: str, import_saga: str) -> str:
    return _filled("test.txt", {"name": name, "import_saga": import_saga})


def _filled(template: str, names: dict[str, str]) -> str:
    title = names["name"].replace("_", " ").capitalize()
    text = (files("cli") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(names, class_name=class_name(names["name"]), title=title)


def _snake(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


def register(app: typer.Typer) -> None:
    app.command("new-saga")(new_saga)
