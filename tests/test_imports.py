"""The import contracts bite: each is broken, on purpose, by a wrong import in a copy."""

import configparser
from pathlib import Path

import pytest

from tests.copies import ROOT, copy_packages, run

# contract, the module that goes wrong, what it must not import
WRONG = [
    ("processes-are-the-top", "workflows/steps.py", "worker.relay"),
    ("processes-are-the-top", "runtime/links.py", "api.errors"),
    ("processes-are-apart", "api/errors.py", "worker.relay"),
    ("processes-are-apart", "worker/relay.py", "api.errors"),
    ("cli-is-for-nobody", "worker/main.py", "cli.console"),
    ("domain-is-pure", "domain/money.py", "storage.types"),
    ("domain-is-pure", "domain/saga.py", "temporalio.workflow"),
    ("domain-is-pure", "domain/url_policy.py", "socket"),
    ("storage-knows-the-domain", "storage/claims.py", "runtime.settings"),
    ("storage-knows-the-domain", "storage/claims.py", "temporalio.client"),
    ("the-menu-is-pure", "activities/ports.py", "storage.tables"),
    ("workflows-are-deterministic", "workflows/deliver_events.py", "activities.webhooks"),
    ("workflows-are-deterministic", "workflows/saga.py", "storage.saga_log"),
    ("workflows-are-deterministic", "workflows/sagas/transfer.py", "runtime.settings"),
    ("workflows-are-deterministic", "workflows/steps.py", "httpx"),
    ("sagas-are-independent", "workflows/sagas/transfer.py", "workflows.sagas.open_account"),
    ("registry-is-for-processes", "workflows/saga.py", "workflows.registry"),
    ("registry-is-for-processes", "workflows/sagas/transfer.py", "workflows.saga_type"),
    ("activities-do-not-orchestrate", "activities/books.py", "workflows.sagas.transfer"),
    ("storage-is-behind-doors", "workflows/retry_delivery.py", "storage.claims"),
    ("runtime-is-below", "runtime/starting.py", "activities.steps"),
    ("api-never-does-the-work", "api/transfers.py", "activities.transfers"),
    ("api-never-does-the-work", "api/webhooks.py", "httpx"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_packages(tmp_path_factory.mktemp("copy"), ".importlinter")


@pytest.mark.parametrize(("contract", "path", "module"), WRONG)
def test_a_wrong_import_breaks_its_contract(
    copy: Path, contract: str, path: str, module: str
) -> None:
    source = (copy / path).read_text()
    (copy / path).write_text(f"import {module}\n{source}")
    try:
        broken = run(copy, "lint-imports", "--no-logo", "--no-cache", "--contract", contract)
    finally:
        (copy / path).write_text(source)

    assert broken.returncode == 1, broken.stdout
    assert "0 kept, 1 broken." in broken.stdout


def test_every_contract_is_shown_to_bite() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    contracts = {name.removeprefix(prefix) for name in config.sections() if prefix in name}

    assert contracts == {contract for contract, _, _ in WRONG}, "add its wrong import to WRONG"
