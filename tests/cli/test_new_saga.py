"""`sagapost new-saga` writes a saga that works, where it belongs, or says why it does not."""

import json
from pathlib import Path

import pytest

from cli.new_saga import ENTRY_POINTS, CannotDraft, check_name, with_entry_point
from tests.copies import ROOT, copy_packages, run

pytestmark = pytest.mark.timeout(300)

NEW_SAGA = ("python", "-m", "cli.main", "new-saga")
LIST_SAGAS = "from workflows.registry import all_sagas, describe\nimport json\n" + (
    "print(json.dumps({name: describe(saga).description for name, saga in all_sagas().items()}))"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with a new saga in it."""
    folder = copy_packages(tmp_path_factory.mktemp("checkout"), "pyproject.toml")
    written = run(folder, *NEW_SAGA, "collect_dues")
    assert written.returncode == 0, written.stderr
    assert "wrote workflows/sagas/collect_dues.py" in written.stdout
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of its own with a new saga in it."""
    folder = tmp_path_factory.mktemp("elsewhere") / "acme-sagas"
    written = run(ROOT, *NEW_SAGA, "collect_dues", "--package", folder)
    assert written.returncode == 0, written.stderr
    return folder


def test_the_test_of_a_new_saga_passes_at_once(checkout: Path) -> None:
    tested = run(checkout, "pytest", "tests/workflows/sagas/test_collect_dues.py")

    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


def test_a_new_saga_is_found_without_another_edit(checkout: Path) -> None:
    listed = run(checkout, "python", "-c", LIST_SAGAS)

    assert "collect_dues" in json.loads(listed.stdout)


def test_what_is_written_is_as_tidy_as_what_is_there(checkout: Path) -> None:
    written = ("workflows/sagas/collect_dues.py", "tests/workflows/sagas/test_collect_dues.py")

    for tool in (("ruff", "check"), ("ruff", "format", "--check")):
        checked = run(checkout, *tool, *written)
        assert checked.returncode == 0, checked.stdout


def test_a_second_one_of_the_same_name_is_refused_and_changes_nothing(checkout: Path) -> None:
    before = (checkout / "workflows/sagas/collect_dues.py").read_text()

    refused = run(checkout, *NEW_SAGA, "collect_dues")

    assert refused.returncode == 2
    assert "there is a workflow called collect_dues already" in refused.stderr
    assert (checkout / "workflows/sagas/collect_dues.py").read_text() == before


def test_a_file_that_is_there_is_never_written_over(checkout: Path) -> None:
    kept = checkout / "tests/workflows/sagas/test_lend.py"
    kept.write_text("mine\n")

    refused = run(checkout, *NEW_SAGA, "lend")

    assert refused.returncode == 2
    assert "test_lend.py is there already" in refused.stderr
    assert kept.read_text() == "mine\n"
    assert not (checkout / "workflows/sagas/lend.py").exists()


def test_the_test_of_a_packages_saga_passes_before_it_is_installed(package: Path) -> None:
    tested = run(package, "python", "-m", "pytest", "-q", path=str(ROOT))

    assert tested.returncode == 0, tested.stdout


def test_the_saga_of_an_installed_package_is_found(package: Path, tmp_path: Path) -> None:
    install(package, tmp_path)

    listed = run(tmp_path, "python", "-c", LIST_SAGAS, path=f"{package}:{ROOT}")

    assert {"collect_dues", "transfer"} <= set(json.loads(listed.stdout))


def test_a_worker_and_the_api_have_the_saga_of_an_installed_package(
    package: Path, tmp_path: Path
) -> None:
    install(package, tmp_path)
    script = (
        "from workflows.registry import saga_workflows\n"
        "from api.workflow_types import workflow_type_view\n"
        "print([found.__name__ for found in saga_workflows()])\n"
        "print(workflow_type_view('collect_dues').example)"
    )

    shown = run(tmp_path, "python", "-c", script, path=f"{package}:{ROOT}")

    assert "'CollectDues'" in shown.stdout, shown.stderr
    assert "'amount': '50.00'" in shown.stdout


def test_a_second_saga_joins_the_package(package: Path) -> None:
    written = run(ROOT, *NEW_SAGA, "lend_money", "--package", package)

    assert written.returncode == 0, written.stderr
    project = (package / "pyproject.toml").read_text()
    assert 'lend_money = "acme_sagas.lend_money"' in project
    assert 'collect_dues = "acme_sagas.collect_dues"' in project


def test_outside_of_a_checkout_it_says_where_to_go(tmp_path: Path) -> None:
    refused = run(tmp_path, *NEW_SAGA, "collect_dues", path=str(ROOT))

    assert refused.returncode == 2
    assert "--package DIR" in refused.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("CollectDues", "like collect_dues"),
        ("collect-dues", "like collect_dues"),
        ("2fast", "will not do"),
        ("class", "will not do"),
        ("_hidden", "will not do"),
        ("", "will not do"),
        ("a" * 51, "will not do"),
        ("../escape", "will not do"),
        ("transfer", "there is a workflow called transfer already"),
        ("reconcile", "there is a workflow called reconcile already"),
    ],
)
def test_a_bad_name_is_refused_with_a_better_one(name: str, complaint: str) -> None:
    with pytest.raises(CannotDraft) as refused:
        check_name(name)

    assert complaint in str(refused.value)


def test_a_pyproject_that_cannot_be_extended_is_left_to_its_owner() -> None:
    inline = '[project]\nname = "x"\nentry-points = {"other" = {a = "b"}}\n'

    with pytest.raises(CannotDraft) as refused:
        with_entry_point(inline, "lend", "acme")

    assert ENTRY_POINTS in str(refused.value)


def install(package: Path, site: Path) -> None:
    """What pip leaves in site-packages of an editable package: its metadata."""
    metadata = site / "acme_sagas-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sagas\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[sagapost.sagas]\ncollect_dues = acme_sagas.collect_dues\n"
    )
