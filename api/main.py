"""The API process: builds everything once, then serves until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

import uvicorn
from temporalio.client import Client

from api.app import create_app
from api.connections import ServerConfig
from api.dependencies import Services
from runtime.database import Database
from runtime.keyfile import secrets_keys
from runtime.policy import url_policy
from runtime.settings import Settings
from runtime.temporal import CONVERTER
from runtime.vault import Vault
from runtime.wakeup import Bell

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LET_END_S = 10

logger = logging.getLogger("sagapost.api")


async def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests that are under way may then end."""
    database = Database(settings.resolved_database_url, bell=Bell(settings.data_dir))
    try:
        services = Services(
            settings=settings,
            database=database,
            temporal=await connect_lazily(settings),
            vault=Vault(secrets_keys(settings)),
            policy=url_policy(settings),
        )
        await serve(services)
    finally:
        await database.close()


async def serve(services: Services) -> None:
    settings = services.settings
    warn_of_plain_text(settings)
    server = _Server(ServerConfig(create_app(services), settings, let_end_s=LET_END_S))
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, partial(_stop, server))
    await server.serve()


def warn_of_plain_text(settings: Settings) -> None:
    """Keys and money cross this socket, and it does not speak TLS."""
    if not is_loopback(settings.api_host):
        logger.warning(
            "the API listens beyond this machine without TLS: put a proxy that ends TLS in front",
            extra={"address": settings.api_host, "see": "docs/deploy.md"},
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def connect_lazily(settings: Settings) -> Client:
    """The API answers reads, and says what it is waiting for, while the engine is down."""
    return await Client.connect(
        settings.resolved_temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=CONVERTER,
        lazy=True,
    )


class _Server(uvicorn.Server):
    """Uvicorn would end the process by the signal that stopped it, before we have cleaned up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop(server: uvicorn.Server) -> None:
    """Once: let requests end. Twice: do not."""
    server.force_exit = server.should_exit
    server.should_exit = True
