"""House rules that a linter cannot know. Each failure says what to do."""

import ast
import importlib
import inspect
import pkgutil
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import activities
from activities import ports
from cli.settings import settings_page
from runtime.settings import PREFIX, Settings
from workflows.registry import all_sagas

ROOT = Path(__file__).parents[1]
PACKAGES = ("domain", "storage", "activities", "workflows", "runtime", "worker", "api", "cli")
BESIDE = ("bench", "conformance", "tests")

MODULE_LINES_MAX = 400
TEST_MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 50
FUNCTION_LINES_MEDIAN_BELOW = 8
DECISION_LINES = range(20, 61)

# One word per thing (docs/glossary.md). The word on the left is some other thing's, or nobody's.
SAY_INSTEAD = {
    "message": "event (or text, for what a person reads)",
    "destination": "endpoint",
    "transaction": "journal_entry (a database transaction is a unit)",
    "subscriber": "endpoint",
    "topic": "event_type",
    "rollback": "compensation",
    "resend": "redeliver",
    "txn": "journal_entry",
    "acct": "account",
    "msg": "event",
    "cfg": "settings",
    "ctx": "the name of what it is",
}
# Fields that cross the wire have the names that the product published.
WIRE = ("domain/catalogue/", "api/")
# Where a transaction and its rollback are the database's own.
OF_THE_DATABASE = ("storage/", "runtime/")
DATABASE_WORDS = ("transaction", "rollback")
# The product's own resource, with its own name for a journal entry.
CUSTOMER_FACING = ("api/transactions.py", "api/transaction_shapes.py")

# The menu of side effects, and its pages.
MENU = ("activities.ports", "activities.menu")
JUNK_DRAWERS = re.compile(r"(^|_)(utils?|helpers?|managers?|common|core|misc|base|shared)$")
TOUR = re.compile(r"Path of an event, (\d) of (\d)")
ARROWS = ("►", "▶", "→", "-->")
MACHINE_PATH = re.compile(r"(?<![\w.:/}\-])/(home|Users|work|root)/\w")
PATH_IN_PROSE = re.compile(r"`([\w.-]+/[\w./-]+\.(?:py|md|yaml|yml|sh|toml))`")


@cache
def sources() -> tuple[tuple[str, str, ast.Module], ...]:
    """Our modules: path, text, tree."""
    return tuple(
        (str(path.relative_to(ROOT)), path.read_text(), ast.parse(path.read_text()))
        for package in (*PACKAGES, *BESIDE)
        for path in sorted((ROOT / package).rglob("*.py"))
    )


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every function and how many lines it has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_modules_fit_in_a_sitting() -> None:
    long = [
        f"{path} has {text.count(chr(10))} lines: give one of its subjects a module of its own"
        for path, text, _ in sources()
        if text.count("\n")
        > (TEST_MODULE_LINES_MAX if path.startswith("tests/") else MODULE_LINES_MAX)
    ]

    assert not long, "\n".join(long)


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path}: {name} has {lines} lines: pull the decision out of the doing"
        for path, _, tree in sources()
        for name, lines in functions(tree)
        if lines > FUNCTION_LINES_MAX
    ]

    assert not long, "\n".join(long)


def test_the_usual_function_is_short() -> None:
    lengths = [
        lines
        for path, _, tree in sources()
        if not path.startswith(BESIDE)
        for _, lines in functions(tree)
    ]

    assert statistics.median(lengths) < FUNCTION_LINES_MEDIAN_BELOW


def test_names_use_the_glossary() -> None:
    wrong = [
        f"{path}:{line}: {name}: say {instead}"
        for path, _, tree in sources()
        if path.startswith(PACKAGES) and path not in CUSTOMER_FACING
        for name, line in names_given(tree, wire=path.startswith(WIRE))
        for banned, instead in SAY_INSTEAD.items()
        if banned in name.lower().split("_") or (len(banned) > 5 and banned in name.lower())
        if not (banned in DATABASE_WORDS and path.startswith(OF_THE_DATABASE))
    ]

    assert not wrong, "\n".join(wrong)


def names_given(tree: ast.Module, *, wire: bool) -> Iterator[tuple[str, int]]:
    """What a module calls its functions, classes, arguments, variables and fields."""
    fields = {
        statement.target
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    foreign = arguments_of_overrides(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg) and node not in foreign:
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if wire and node in fields:
                continue
            yield node.id, node.lineno


def arguments_of_overrides(tree: ast.Module) -> set[ast.AST]:
    """What a method that extends a library's must call its arguments."""
    return {
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if f"super().{node.name}(" in ast.unparse(node)
        for argument in ast.walk(node.args)
    }


def test_no_module_is_a_junk_drawer() -> None:
    junk = [
        f"{path}: name the module after its one subject, or move each function to its own"
        for path, _, _ in sources()
        if any(JUNK_DRAWERS.search(part) for part in Path(path).with_suffix("").parts)
    ]

    assert not junk, "\n".join(junk)


def test_the_tour_of_an_events_path_is_complete() -> None:
    stops = {
        int(number): path
        for path, text, _ in sources()
        if path.startswith(PACKAGES)
        for number, of in TOUR.findall(text)
        if of == "6"
    }

    assert sorted(stops) == [1, 2, 3, 4, 5, 6], (
        'six modules say "Path of an event, N of 6" in their docstrings, one each; '
        f"found {stops}: docs/path-of-an-event.md says which they are"
    )


def test_every_stop_of_the_tour_is_in_its_document() -> None:
    told = (ROOT / "docs/path-of-an-event.md").read_text()

    for path, text, _ in sources():
        if path.startswith(PACKAGES) and TOUR.search(text):
            assert path in told, f"docs/path-of-an-event.md does not mention {path}"


@pytest.mark.parametrize("name", sorted(all_sagas()))
def test_every_saga_draws_its_steps(name: str) -> None:
    diagram = all_sagas()[name].diagram

    assert any(arrow in diagram for arrow in ARROWS), (
        f"workflows/sagas/{name}.py: draw the steps and the way back in the module's docstring"
    )


def test_every_port_is_implemented_and_handed_to_a_worker() -> None:
    for module in pkgutil.walk_packages(activities.__path__, "activities."):
        importlib.import_module(module.name)
    built = (ROOT / "worker/build.py").read_text()

    for port in vars(ports).values():
        if not (inspect.isclass(port) and port.__module__.startswith(MENU)):
            continue
        concrete = [found for found in subclasses(port) if not inspect.isabstract(found)]
        ours = [found.__name__ for found in concrete if found.__module__.startswith("activities.")]
        assert ours, f"activities.ports.{port.__name__} has no implementation beside it"
        assert any(name in built for name in ours), f"worker/build.py does not build {ours}"


def subclasses(of: type) -> Iterator[type]:
    found: type
    for found in of.__subclasses__():
        yield found
        yield from subclasses(found)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text()

    assert page == settings_page(), "run: sagapost settings --markdown > docs/settings.md"
    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in page


def test_no_path_of_somebodys_machine_is_in_the_repository() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in written_files()
        for line in path.read_text(errors="replace").splitlines()
        if MACHINE_PATH.search(line)
    ]

    assert not found, "make these relative, or ask the environment:\n" + "\n".join(found)


def written_files() -> Iterator[Path]:
    yield from (ROOT / name for name in ("Makefile", "pyproject.toml", ".importlinter", ".ci/run"))
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").rglob("*.md")
    yield from (ROOT / path for path, _, _ in sources())


def test_decisions_are_short_and_complete() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))

    assert [path.name[:4] for path in decisions] == [
        f"{number:04}" for number in range(1, len(decisions) + 1)
    ], "docs/decisions/ is numbered 0001, 0002, … without gaps"
    for path in decisions:
        text = path.read_text()
        lines = text.count("\n")
        assert lines in DECISION_LINES, f"{path.name} has {lines} lines: write 20 to 60"
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"## {part}" in text, f'{path.name} lacks "## {part}"'


def test_documents_name_files_that_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{page.relative_to(ROOT)}: `{name}` is not there"
        for page in pages
        for name in PATH_IN_PROSE.findall(page.read_text())
        if not any((folder / name).exists() for folder in (ROOT, page.parent))
        if f"<!-- file {name} " not in page.read_text()  # A tutorial's reader writes it.
    ]

    assert not missing, "\n".join(missing)
