"""Settings: everything that can be set, read once from the environment and passed down."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.database_url import resolve_database_url
from runtime.setting_types import Cidrs, Duration, Port, Ports, Schedule, decode_keys

PREFIX = "SAGAPOST_"
LOOPBACK_CIDRS = "127.0.0.0/8,::1/128"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here

PROXY = re.compile(r"http://([^\s/@]+@)?([^\s:/@]+|\[[0-9a-fA-F:]+\]):\d{1,5}/?\Z", re.ASCII)
HOST_AND_PORT = re.compile(r"([^\s:/]+|\[[0-9a-fA-F:]+\]):\d{1,5}\Z", re.ASCII)


def setting(default: Any, unit: str, sentence: str, **constraints: Any) -> Any:
    """A field whose default is written as a person would write it in the environment."""
    return Field(
        default,
        description=sentence,
        json_schema_extra={"unit": unit},
        validate_default=True,
        **constraints,
    )


class Settings(BaseSettings):
    """Each field is the variable SAGAPOST_ + its name. `docs/settings.md` is made from them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    data_dir: Path = setting(
        ".sagapost",
        "folder",
        "Everything `sagapost up` keeps: databases, keys, logs. Made with mode 0700.",
    )
    database_url: str = setting(
        "",
        "URL",
        "Our own database: `postgresql://…` or `sqlite:///…`. "
        "Empty: the file `sagapost.db` in the data folder.",
        repr=False,
    )
    secrets_key: SecretStr = setting(
        "",
        "base64 of 32 bytes",
        "Encrypts endpoint secrets at rest; several, newest first, may be separated by commas. "
        "Empty: a key made once, kept in the file `secrets-key` of the data folder.",
    )
    root_api_key: SecretStr = setting(
        "",
        "API key",
        "The value of the first API key. Empty: one is made, and kept in the file `root-key` of "
        "the data folder.",
    )

    api_host: str = setting(
        "127.0.0.1",
        "address",
        "Where the API listens. Put TLS in front before leaving loopback.",
        min_length=1,
    )
    api_port: Port = setting(8000, "port", "The API's port.")
    public_url: str = setting(
        "",
        "URL",
        "Where clients reach the API: links in events start with it. Empty: this machine.",
    )
    api_wait_max: Duration = setting(
        "30s",
        "duration",
        "The longest `?wait=` a client may ask for.",
        ge=timedelta(0),
        le=timedelta(minutes=5),
    )
    api_body_bytes_max: int = setting(
        1_048_576, "bytes", "A larger request body is answered 413.", ge=1_024, le=67_108_864
    )
    api_request_timeout: Duration = setting(
        "15s",
        "duration",
        "A client that has not sent its whole request by then is answered 408 and hung up on.",
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
    )
    api_connections_max: int = setting(
        1_000,
        "connections",
        "With more connections open, one API process answers 503; with twice as many it hangs up.",
        ge=10,
        le=100_000,
    )

    api_trusted_proxies: Cidrs = setting(
        "", "networks", "Proxies whose X-Forwarded-For is believed, separated by commas."
    )
    auth_failures_max: int = setting(
        20, "requests", "Bad keys in a minute after which an address is locked out.", ge=1
    )
    auth_lockout: Duration = setting(
        "1m", "duration", "How long an address is locked out.", ge=timedelta(seconds=1)
    )
    rate_limit_per_minute: int = setting(
        100, "requests", "What an API key may ask in a minute, if it has no limit of its own.", ge=1
    )
    rate_limit_per_hour: int = setting(
        1_000,
        "requests",
        "What an API key may ask in an hour, if it has no limit of its own.",
        ge=1,
    )
    rate_limit_tenant: int = setting(
        60_000, "requests", "What all keys of a tenant may ask in a minute together.", ge=1
    )

    temporal_address: str = setting(
        "",
        "host:port",
        "The Temporal cluster to use. Empty: the server that `sagapost up` starts.",
    )
    temporal_namespace: str = setting(
        "default", "name", "The Temporal namespace of all our workflows.", min_length=1
    )
    temporal_port: Port = setting(7233, "port", "Where the embedded Temporal server listens.")
    temporal_ui_port: Port = setting(8233, "port", "Where the embedded Temporal UI listens.")
    temporal_ui_url: str = setting(
        "",
        "URL",
        "Where people open the Temporal UI; links start with it. Empty: the embedded one.",
    )

    retry_schedule: Schedule = setting(
        "5s,5m,30m,2h,5h,10h,14h,20h,24h",
        "durations",
        "The delay before each further attempt of a delivery, separated by commas.",
    )
    delivery_timeout: Duration = setting(
        "15s",
        "duration",
        "The whole of one attempt, from the DNS question to the last byte of the answer.",
        ge=timedelta(seconds=1),
        le=timedelta(seconds=30),
    )
    delivery_batch_max: int = setting(
        256, "deliveries", "The most deliveries that one claim takes.", ge=1, le=1024
    )
    delivery_lease: Duration = setting(
        "10s",
        "duration",
        "How long a claim holds its deliveries before the relay starts it again.",
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
    )
    relay_poll_interval: Duration = setting(
        "1s",
        "duration",
        "How often the relay looks for deliveries when nothing wakes it.",
        ge=timedelta(milliseconds=10),
        le=timedelta(minutes=1),
    )
    reconcile_interval: Duration = setting(
        "20s",
        "duration",
        "How often sagas are looked for that were ended from outside and have not told it.",
        ge=timedelta(seconds=1),
        le=timedelta(minutes=1),
    )
    endpoint_allow_cidrs: Cidrs = setting(
        "",
        "networks",
        "Networks that webhooks may go to although they are not public, separated by commas. "
        f"`sagapost up` allows `{LOOPBACK_CIDRS}` where this is not set at all.",
    )
    endpoint_allow_http: bool = setting(
        "false",
        "true or false",
        "Whether webhooks may go to plain `http://` URLs. "
        "`sagapost up` allows it where this is not set at all.",
    )
    endpoint_ports: Ports = setting(
        "",
        "ports",
        "Ports that webhooks may go to besides 443 and 80, separated by commas.",
    )
    endpoint_deny_cidrs: Cidrs = setting(
        "",
        "networks",
        "Networks that webhooks may not go to although they are public, or are allowed above, "
        "separated by commas: your own public addresses, for one.",
    )
    endpoint_proxy: SecretStr = setting(
        "",
        "URL",
        "The forward proxy of all webhooks, `http://user:password@host:port`. It resolves their "
        "names, and must vet the addresses as Smokescreen does. Empty: none.",
    )

    retention_days: int = setting(
        30,
        "days",
        "How long events, deliveries and attempts are kept. What is not settled stays longer.",
        ge=5,
        le=90,
    )
    prune_interval: Duration = setting(
        "1h",
        "duration",
        "How often what is past its retention is deleted, in small batches.",
        ge=timedelta(minutes=1),
        le=timedelta(days=1),
    )

    transfer_fee_basis_points: int = setting(
        10, "hundredths of a percent", "What a transfer costs its sender.", ge=0, le=1_000
    )

    connectors: str = setting(
        "",
        "party=module:name, …",
        "Real implementations of outside parties, for the sandboxes: see docs/add-a-connector.md.",
        pattern=r"^([a-z_]+=[\w.]+:\w+(, *|$))*$",
    )

    worker_workflow_tasks_max: int = setting(
        100, "tasks", "Workflow tasks that one worker runs at a time.", ge=2, le=10_000
    )
    worker_activities_max: int = setting(
        100, "activities", "Activities that one worker runs at a time.", ge=1, le=10_000
    )
    worker_cached_workflows_max: int = setting(
        1000, "workflows", "Workflows that one worker keeps in memory.", ge=0, le=100_000
    )
    worker_sandbox: bool = setting(
        "false",
        "true or false",
        "Whether workflow code runs in the sandbox that catches non-determinism. Tests always run "
        "in it; in a worker it costs a third of the CPU.",
    )
    worker_deployment: str = setting(
        "",
        "name",
        "The worker deployment that this worker is of, for versioning: see docs/versioning.md. "
        "Empty: off.",
        pattern=r"^[A-Za-z0-9_-]{0,100}$",
    )
    worker_build_id: str = setting(
        "",
        "build id",
        "Which build of the deployment this is: a release, or the commit's hash.",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
    )
    worker_shutdown_grace: Duration = setting(
        "10s",
        "duration",
        "How long a worker that is told to stop lets running activities end.",
        ge=timedelta(0),
        le=timedelta(minutes=10),
    )

    log_format: Literal["console", "json"] = setting(
        "console", "console or json", "One line per fact: for eyes, or for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "debug, info, warning or error", "Facts below this level are not logged."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_blanks(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value

    @field_validator("endpoint_allow_http", mode="before")
    @classmethod
    def _empty_means_no(cls, value: Any) -> Any:
        return False if value == "" else value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, data_dir: Path) -> Path:
        return data_dir.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return resolve_database_url(url) if url else url

    @field_validator("temporal_address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        if address and not HOST_AND_PORT.match(address):
            raise ValueError('write host:port, like "temporal.internal:7233"')
        return address

    @field_validator("temporal_ui_url", "public_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError('write a URL, like "https://temporal.internal:8080"')
        return url

    @field_validator("endpoint_proxy")
    @classmethod
    def _plain_proxy(cls, proxy: SecretStr) -> SecretStr:
        if proxy.get_secret_value() and not PROXY.match(proxy.get_secret_value()):
            raise ValueError('write the forward proxy as "http://host:port"')
        return proxy

    @field_validator("secrets_key")
    @classmethod
    def _key_length(cls, secret: SecretStr) -> SecretStr:
        decode_keys(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [self.api_port]
        if not self.temporal_address:
            ports += [self.temporal_port, self.temporal_ui_port]
        if len(set(ports)) < len(ports):
            names = [
                f"{PREFIX}{name}" for name in ("API_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")
            ]
            raise ValueError(f"{', '.join(names)}: no two may be the same")
        return self

    @model_validator(mode="after")
    def _deployment_has_a_build(self) -> Self:
        if bool(self.worker_deployment) != bool(self.worker_build_id):
            names = f"{PREFIX}WORKER_DEPLOYMENT and {PREFIX}WORKER_BUILD_ID"
            raise ValueError(f"{names}: set both or neither")
        return self

    @property
    def resolved_database_url(self) -> str:
        """The URL for SQLAlchemy: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'sagapost.db'}"

    @property
    def resolved_temporal_address(self) -> str:
        return self.temporal_address or f"127.0.0.1:{self.temporal_port}"

    @property
    def resolved_temporal_ui_url(self) -> str:
        return self.temporal_ui_url.rstrip("/") or f"http://127.0.0.1:{self.temporal_ui_port}"

    @property
    def api_url(self) -> str:
        """How a client on this machine reaches the API."""
        host = ANY_ADDRESS.get(self.api_host, self.api_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.api_port}"

    @property
    def embeds_temporal(self) -> bool:
        return not self.temporal_address


def loopback_environment(settings: Settings) -> dict[str, str]:
    """What `up` adds so that a first webhook may go to this machine: nothing that was set."""
    opened = {"endpoint_allow_cidrs": LOOPBACK_CIDRS, "endpoint_allow_http": "true"}
    return {
        f"{PREFIX}{name.upper()}": value
        for name, value in opened.items()
        if name not in settings.model_fields_set
    }
