"""The deployment files: what can be known of them without a container engine.

`data/compose-spec.json` is the Compose Specification's own schema, unchanged, as the package
check-jsonschema 0.39.0 carries it (Apache-2.0, `data/compose-spec.LICENSE`).
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from jsonschema import Draft202012Validator

from cli.main import make_app
from runtime.embedded import SEARCH_ATTRIBUTES
from runtime.settings import PREFIX, Settings
from runtime.supervisor import mark_ready

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SCRIPTS = sorted((ROOT / "deploy").glob("*.sh"))

# ${NAME}, ${NAME:-default} or ${NAME:?message}; $$ is a dollar sign.
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<rule>:-|:\?)(?P<text>[^}]*))?\})")
SECRET = re.compile(r"PASSWORD|PWD|SECRET|KEY|TOKEN")
FILLED_IN = {
    **dict.fromkeys(
        ("POSTGRES_PASSWORD", "TEMPORAL_DB_PASSWORD", "DB_OWNER_PASSWORD", "DB_APP_PASSWORD"),
        "0123456789abcdef",
    ),
    "SAGAPOST_SECRETS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "SAGAPOST_ROOT_API_KEY": "sk_0123456789abcdef0123456789abcdef",
}
# Services that the image forces to run as root, or with a writable image, with the reason: none.
# PostgreSQL starts as its own uid, as a new named volume takes its owner from the image.
ROOT_NEEDED: dict[str, str] = {}
JOBS = {"temporal-schema", "temporal-namespace", "migrate"}
APP = {"migrate", "api", "worker"}


class NotSet(Exception):
    """What Compose stops with when a variable that must be set is not, or is empty."""


def resolve(text: str, variables: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, rule, written = found["name"], found["rule"], found["text"]
        if name is None:
            return "$"
        if given := variables.get(name):
            return given
        if rule != ":-":
            raise NotSet(written or name)
        return str(written)

    return VARIABLE.sub(value, text)


def variables() -> list[tuple[str, str | None, str]]:
    found = [match for match in VARIABLE.finditer(COMPOSE) if match["name"]]
    return [(match["name"], match["rule"], match["text"]) for match in found]


RAW: dict[str, Any] = yaml.safe_load(COMPOSE)
RESOLVED: dict[str, Any] = yaml.safe_load(resolve(COMPOSE, FILLED_IN))
SERVICES: dict[str, dict[str, Any]] = RESOLVED["services"]

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_app_service = pytest.mark.parametrize("name", sorted(APP))


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    return Settings()


# -- The whole file --


@pytest.mark.parametrize(
    "document", [RAW, RESOLVED], ids=["as written", "with variables filled in"]
)
def test_the_file_is_valid_by_the_compose_specification(document: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema).iter_errors(document)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_specification_would_notice_a_mistake() -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    mistaken = {**RESOLVED, "services": {"api": {**SERVICES["api"], "helthcheck": {}}}}
    assert not Draft202012Validator(schema).is_valid(mistaken)


def test_every_service_is_known_here() -> None:
    servers = {"postgresql", "temporal", "temporal-ui", "api", "worker"}
    assert set(SERVICES) == servers | JOBS


# -- Secrets and variables --


def test_no_secret_has_a_default() -> None:
    rules = {name: rule for name, rule, _ in variables() if SECRET.search(name)}
    assert set(rules) == set(FILLED_IN)
    assert set(rules.values()) == {":?"}


def test_no_secret_stands_in_the_file() -> None:
    for name, service in RAW["services"].items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert VARIABLE.fullmatch(value), f"{variable} of {name}"


@pytest.mark.parametrize("missing", sorted(FILLED_IN))
def test_compose_stops_while_a_secret_is_empty(missing: str) -> None:
    with pytest.raises(NotSet, match=f"set {missing} in .env"):
        resolve(COMPOSE, {**FILLED_IN, missing: ""})


def test_every_variable_has_one_default() -> None:
    defaults: dict[str, set[str]] = {}
    for name, _, text in variables():
        defaults.setdefault(name, set()).add(text)
    assert {name: texts for name, texts in defaults.items() if len(texts) > 1} == {}


def test_the_example_names_every_variable_with_its_default() -> None:
    example = dict(
        line.removeprefix("#").split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"#?[A-Z_]+=", line)
    )
    expected = {name: "" if rule == ":?" else text for name, rule, text in variables()}
    assert example == expected


def test_only_the_migration_knows_the_owner_of_the_tables() -> None:
    marked = resolve(COMPOSE, {**FILLED_IN, "DB_OWNER_PASSWORD": "owner-password"})
    services = yaml.safe_load(marked)["services"]
    holders = {name for name, service in services.items() if "owner-password" in str(service)}
    assert holders == {"postgresql", "migrate"}


# -- Images and containers --


def test_every_image_has_a_version_that_can_be_set() -> None:
    for name, service in RAW["services"].items():
        image = service["image"]
        assert re.fullmatch(r"[\w/-]+:\$\{\w+_VERSION:-\d+(\.\d+)+\}", image), f"{name}: {image}"


def test_the_version_of_our_image_is_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("APP_VERSION", ":-", project["version"]) in variables()


@each_service
def test_a_service_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in ROOT_NEEDED or service["read_only"] is True
    asked = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"}
    assert asked & set(service) == set()
    assert "docker.sock" not in str(service)


@each_service
def test_no_service_runs_as_root(name: str) -> None:
    user, _, group = SERVICES[name]["user"].partition(":")
    assert name in ROOT_NEEDED or (int(user) > 0 and int(group) > 0)


@each_service
def test_a_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each_service
def test_jobs_end_and_servers_come_back(name: str) -> None:
    service = SERVICES[name]
    if name in JOBS:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["stop_grace_period"]


@each_service
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in JOBS else "service_healthy"
        assert how["condition"] == expected


def test_ports_are_open_to_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "temporal-ui"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_databases_and_temporal_are_on_the_inner_network_only() -> None:
    assert RESOLVED["networks"]["data"] == {"internal": True}
    for name in {"postgresql", "temporal", *JOBS}:
        assert SERVICES[name]["networks"] == ["data"], name


def test_only_the_worker_leaves_by_the_guarded_bridge() -> None:
    assert [name for name, service in SERVICES.items() if "out" in service["networks"]] == [
        "worker"
    ]
    options = RESOLVED["networks"]["out"]["driver_opts"]
    bridge = options["com.docker.network.bridge.name"]
    assert len(bridge) <= 15, "the kernel's limit"
    assert f'define worker_bridge = "{bridge}"' in (ROOT / "deploy/worker-egress.nft").read_text()


def test_what_is_mounted_exists() -> None:
    for source, target, *flags in mounts():
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert flags == ["ro"], target
        else:
            assert source in RESOLVED["volumes"], source


def mounts() -> Iterator[list[str]]:
    for service in SERVICES.values():
        yield from (volume.split(":") for volume in service.get("volumes", []))


# -- Our own processes --


@each_app_service
def test_our_settings_exist(name: str) -> None:
    for variable in SERVICES[name]["environment"]:
        assert variable.startswith(PREFIX)
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields


@each_app_service
def test_our_settings_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(name, monkeypatch)
    assert settings.resolved_database_url.startswith("postgresql+asyncpg://")
    assert settings.endpoint_allow_cidrs == ()
    assert not settings.endpoint_allow_http
    assert settings.log_format == "json"


@each_app_service
def test_our_commands_exist(name: str) -> None:
    command = typer.main.get_command(make_app())
    assert SERVICES[name]["command"][0] in getattr(command, "commands", {})


def test_the_workers_have_time_to_end_their_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("worker", monkeypatch)
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert settings.worker_shutdown_grace > settings.delivery_timeout
    assert SERVICES["worker"]["stop_grace_period"] == "1m"
    assert timedelta(minutes=1) > settings.worker_shutdown_grace


def test_the_api_answers_where_its_health_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("api", monkeypatch)
    address = f"http://127.0.0.1:{settings.api_port}/v2/health/ready"
    assert address in SERVICES["api"]["healthcheck"]["test"][-1]
    assert SERVICES["api"]["ports"] == [f"127.0.0.1:8000:{settings.api_port}"]


def test_a_worker_is_healthy_once_it_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    *_, program = SERVICES["worker"]["healthcheck"]["test"]
    folder = SERVICES["worker"]["environment"]["SAGAPOST_DATA_DIR"]
    command = [sys.executable, "-c", program.replace(folder, str(tmp_path))]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    mark_ready(settings, "worker")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


# -- The image --


def test_the_image_runs_as_the_user_that_compose_says() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert {SERVICES[name]["user"] for name in APP} == {"10001:10001"}
    assert "\nUSER 10001:10001\n" in final
    assert '\nENTRYPOINT ["sagapost"]\n' in final
    assert "PYTHONUNBUFFERED=1" in final


def test_the_image_is_built_of_pinned_things() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases == ["python:${PYTHON_VERSION}-slim-bookworm"] * 2
    assert re.search(r"^ARG PYTHON_VERSION=3\.\d+$", DOCKERFILE, re.MULTILINE)
    assert "--only-binary :all: --require-hashes --requirement requirements.lock" in DOCKERFILE
    assert "apt-get" not in DOCKERFILE


def test_the_image_gets_our_packages_and_no_secrets() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    needed = {f"!{package.rstrip('*')}/" for package in packages}
    needed |= {"!README.md", "!pyproject.toml", "!requirements.lock"}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == needed


# -- What the jobs run --


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_plain_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text()
    assert script.stat().st_mode & 0o111 == 0o111


def test_temporal_deals_tasks_out_fairly() -> None:
    path = SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    mounted = next(target for source, target, *_ in mounts() if source.endswith("/dynamicconfig"))
    assert path == f"{mounted}/production.yaml"
    config = yaml.safe_load((ROOT / "deploy/dynamicconfig/production.yaml").read_text())
    assert config["matching.enableFairness"] == [{"value": True}]


def test_the_cluster_learns_the_search_attributes_that_we_use() -> None:
    script = (ROOT / "deploy/temporal-namespace.sh").read_text()
    listed = re.search(r"^for name in (.+); do$", script, re.MULTILINE)
    assert listed is not None
    assert tuple(listed[1].split()) == SEARCH_ATTRIBUTES
