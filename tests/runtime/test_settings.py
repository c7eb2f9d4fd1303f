"""Settings say what they mean, refuse what makes no sense, and never show a secret."""

import base64
import io
import json
import logging
import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.settings import settings_page
from domain.delivery import STANDARD_SCHEDULE
from runtime.data_folder import make_data_folder, new_private_file
from runtime.errors import DataFolderUnusable
from runtime.keyfile import secrets_keys
from runtime.links import ui_url
from runtime.logging import setup_logging
from runtime.setting_problems import problems, unknown_variables
from runtime.settings import Settings, loopback_environment

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(32)).decode()
OTHER_KEY = base64.urlsafe_b64encode(b"\xff" * 32).decode()


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("SAGAPOST_"):
            monkeypatch.delenv(name)


def settings_from(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"SAGAPOST_{name}", value)
    return Settings()


def test_every_setting_has_a_default_a_unit_and_a_sentence() -> None:
    Settings()
    for name, field in Settings.model_fields.items():
        assert isinstance(field.json_schema_extra, dict), f"{name} has no unit"
        assert field.json_schema_extra["unit"], f"{name} has no unit"
        assert field.description, f"{name} has no sentence"
        assert field.description.endswith("."), f"{name}: end the sentence"


def test_the_page_of_settings_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_page(), "run `sagapost settings --markdown > docs/settings.md`"


def test_the_default_retry_schedule_is_the_standard_one() -> None:
    assert Settings().retry_schedule == STANDARD_SCHEDULE


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(
        monkeypatch,
        RETRY_SCHEDULE="1s, 2m",
        ENDPOINT_ALLOW_CIDRS="10.0.0.0/8, ::1/128",
        ENDPOINT_ALLOW_HTTP="true",
        API_WAIT_MAX=" 90s ",
    )
    assert settings.retry_schedule == (timedelta(seconds=1), timedelta(minutes=2))
    assert settings.endpoint_allow_cidrs == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.endpoint_allow_http
    assert settings.api_wait_max == timedelta(seconds=90)


def test_an_empty_allowance_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(monkeypatch, ENDPOINT_ALLOW_CIDRS="", ENDPOINT_ALLOW_HTTP="")
    assert settings.endpoint_allow_cidrs == ()
    assert not settings.endpoint_allow_http


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("API_PORT", "0", "greater than or equal to 1"),
        ("API_PORT", "65536", "less than or equal to 65535"),
        ("API_PORT", "http", "valid integer"),
        ("API_PORT", "7233", "no two may be the same"),
        ("API_HOST", "", "at least 1 character"),
        ("API_WAIT_MAX", "1s,2s", "write one duration"),
        ("API_WAIT_MAX", "1h", "less than or equal"),
        ("DATABASE_URL", "mysql://user:hush@host/x", 'write "postgresql://'),
        ("DATABASE_URL", "sqlite://", "give SQLite a file"),
        ("DELIVERY_BATCH_MAX", "0", "greater than or equal to 1"),
        ("DELIVERY_BATCH_MAX", "1025", "less than or equal to 1024"),
        ("ENDPOINT_ALLOW_CIDRS", "10.0.0.1/8", "has host bits set"),
        ("ENDPOINT_ALLOW_HTTP", "perhaps", "valid boolean"),
        ("ENDPOINT_DENY_CIDRS", "everywhere", "does not appear to be"),
        ("ENDPOINT_PORTS", "443,99999", "less than or equal to 65535"),
        ("ENDPOINT_PROXY", "https://user:hush@proxy:3128", "http://host:port"),
        ("ENDPOINT_PROXY", "http://user:hush@proxy", "http://host:port"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("RETRY_SCHEDULE", "5 seconds", "is not a delay"),
        ("SECRETS_KEY", "aHVzaA==", "a key is base64 of 32 bytes"),
        ("TEMPORAL_ADDRESS", "http://temporal", "write host:port"),
        ("TEMPORAL_UI_URL", "temporal:8080", "write a URL"),
    ],
)
def test_a_bad_value_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        settings_from(monkeypatch, **{name: value})
    (line,) = problems(caught.value)
    assert f"SAGAPOST_{name}" in line
    assert says in line
    assert "hush" not in line
    assert "aHVzaA" not in line


def test_the_command_prints_each_bad_value_and_exits_with_2(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "SAGAPOST_API_PORT": "x", "SAGAPOST_LOG_LEVEL": "loud"}
    command = [sys.executable, "-P", "-m", "cli.main", "up"]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert [line.split()[0] for line in ended.stderr.splitlines()] == [
        "SAGAPOST_API_PORT",
        "SAGAPOST_LOG_LEVEL",
    ]


def test_a_misspelt_variable_is_noticed() -> None:
    variables = {"SAGAPOST_API_PROT": "1", "SAGAPOST_API_PORT": "1", "PATH": "/"}
    assert unknown_variables(variables) == ["SAGAPOST_API_PROT"]


def test_settings_do_not_change_and_do_not_show_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(
        monkeypatch,
        DATABASE_URL="postgresql://user:hush@host/bank",
        ENDPOINT_PROXY="http://user:hush@proxy:3128",
        ROOT_API_KEY="hush",
        SECRETS_KEY=KEY,
    )
    assert "hush" not in repr(settings)
    assert KEY not in repr(settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.api_port = 1  # type: ignore[misc]  # That is the point.


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("postgres://u:p%40@h:1/d", "postgresql+asyncpg://u:p%40@h:1/d"),
        ("postgresql://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+asyncpg://h/d"),
        ("postgres://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("sqlite:////var/bank.db", "sqlite+aiosqlite:////var/bank.db"),
        ("sqlite+aiosqlite:////var/bank.db", "sqlite+aiosqlite:////var/bank.db"),
    ],
)
def test_a_database_url_may_be_spelt_as_people_do(
    monkeypatch: pytest.MonkeyPatch, given: str, resolved: str
) -> None:
    assert settings_from(monkeypatch, DATABASE_URL=given).resolved_database_url == resolved


def test_the_database_is_a_file_in_the_data_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_from(monkeypatch, DATA_DIR=str(tmp_path))
    assert settings.resolved_database_url == f"sqlite+aiosqlite:///{tmp_path}/sagapost.db"


def test_up_opens_loopback_only_where_nothing_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loopback_environment(Settings()) == {
        "SAGAPOST_ENDPOINT_ALLOW_CIDRS": "127.0.0.0/8,::1/128",
        "SAGAPOST_ENDPOINT_ALLOW_HTTP": "true",
    }
    closed = settings_from(monkeypatch, ENDPOINT_ALLOW_CIDRS="", ENDPOINT_ALLOW_HTTP="false")
    assert loopback_environment(closed) == {}


def test_links_escape_what_is_in_a_workflow_id(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(monkeypatch, TEMPORAL_UI_URL="https://ui/", TEMPORAL_NAMESPACE="bank")
    page = "https://ui/namespaces/bank/workflows"
    assert ui_url(settings, "transfer/a b") == f"{page}/transfer%2Fa%20b"
    assert ui_url(settings, "transfer/1", "run-1") == f"{page}/transfer%2F1/run-1"


def test_the_encryption_key_is_made_once_and_private(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_from(monkeypatch, DATA_DIR=str(tmp_path / "data"))
    (made,) = secrets_keys(settings)
    assert len(made) == 32
    assert secrets_keys(settings) == (made,)
    assert stat.S_IMODE((tmp_path / "data" / "secrets-key").stat().st_mode) == 0o600


def test_given_encryption_keys_are_used_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(monkeypatch, SECRETS_KEY=f"{OTHER_KEY},{KEY}")
    assert secrets_keys(settings) == (b"\xff" * 32, bytes(32))


def test_a_private_file_is_made_by_the_first_only(tmp_path: Path) -> None:
    for text in ("first", "second"):
        new_private_file(tmp_path / "key", text)
    assert (tmp_path / "key").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_data_folder_that_is_a_file_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataFolderUnusable, match="set SAGAPOST_DATA_DIR"):
        make_data_folder(tmp_path / "data")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_log_line_is_one_json_object_without_payloads(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    setup_logging(settings_from(monkeypatch, LOG_FORMAT="json"), stream)
    details = {"delivery_id": "dlv_1", "attempt": 2, "body": "personal", "payload": {"a": 1}}
    logging.getLogger("worker").info("delivery settled", extra=details)

    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "worker",
        "fact": "delivery settled",
        "delivery_id": "dlv_1",
        "attempt": 2,
    }


def test_nobody_can_write_a_log_line_of_ours(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    setup_logging(settings_from(monkeypatch), stream)
    logging.getLogger("api").warning("no\nroute \x1b[31m", extra={"path": "/a\nINFO api: fine"})
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_libraries_are_quiet_and_warnings_are_logged(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    setup_logging(settings_from(monkeypatch, LOG_LEVEL="debug"), stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://host/secret-path")
    logging.getLogger("temporalio.worker").debug("polling")
    assert stream.getvalue() == ""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning" in stream.getvalue()
