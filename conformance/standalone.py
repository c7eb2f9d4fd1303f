"""An engine and a database for the kit alone, for whoever has none: started, used, thrown away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from tempfile import TemporaryDirectory

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from conformance.kit import Report, open_kit
from runtime.embedded import QUEUE_LOOKS, SEARCH_ATTRIBUTES, each, temporal_binary
from runtime.temporal import CONVERTER
from storage.migrate import upgrade
from workflows.registry import all_sagas

# A timer of ten milliseconds should not take the engine a second.
QUICK_TIMERS = 'history.timerProcessorMaxTimeShift="10ms"'


@asynccontextmanager
async def engine() -> AsyncIterator[Client]:
    attributes = [
        part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")
    ]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_binary()),
        dev_server_extra_args=[
            *attributes,
            *each("--dynamic-config-value", (QUICK_TIMERS, *QUEUE_LOOKS)),
        ],
        dev_server_log_level="error",
        data_converter=CONVERTER,
        runtime=Runtime(telemetry=QUIET),
    ) as environment:
        yield environment.client


# The engine reports every task that dies, and here they die by the hundred.
QUIET = TelemetryConfig(
    logging=LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
)


@asynccontextmanager
async def database_url() -> AsyncIterator[str]:
    """Of an empty SQLite database with the schema."""
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/conformance.db"
        await asyncio.to_thread(upgrade, url)
        yield url


@contextmanager
def quiet() -> Iterator[None]:
    """Workers report every task that dies, and here they die by the hundred."""
    log = logging.getLogger("temporalio")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


async def conform(name: str, *, pairs: int = 0) -> Report:
    """Check one registered saga, of whatever package: `report.violations` should be empty."""
    with quiet():
        async with engine() as temporal, database_url() as url, open_kit(temporal, url) as kit:
            return await kit.check(all_sagas()[name], pairs=pairs)
