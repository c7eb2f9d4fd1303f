"""The stack of `sagapost up`: Temporal, the worker and the API, as one thing to run."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from runtime.data_folder import make_data_folder, only_one
from runtime.embedded import register_search_attributes, server_command, temporal_answers
from runtime.errors import ClusterUnreachable, PortInUse
from runtime.ready import Ready
from runtime.settings import Settings, loopback_environment
from runtime.supervisor import Child, Patience, Supervisor, end_leftovers, is_marked_ready

Prepare = Callable[[Settings], Awaitable[str | None]]


class Stack:
    """Make one with the settings and `prepare`, which migrates the database and tells the key."""

    def __init__(
        self,
        settings: Settings,
        *,
        prepare: Prepare,
        notice: Callable[[str], None],
        ready_file: Path | None = None,
        processes: tuple[Child, ...] | None = None,
    ) -> None:
        self.settings = settings
        self._prepare = prepare
        self._ready_file = ready_file
        self._notice = notice
        self._processes = processes or (worker(settings), api(settings))
        grace_s = settings.worker_shutdown_grace.total_seconds()
        self._patience = Patience(stop_within_s=grace_s + 5)  # Let the worker use all of it.

    async def run(self, stop: asyncio.Event, on_ready: Callable[[Ready], None]) -> None:
        """Run until `stop` is set. Raises what keeps the stack from starting, or from running."""
        settings = self.settings
        make_data_folder(settings.data_dir)
        with only_one(settings.data_dir):
            for name in end_leftovers(settings.data_dir):
                self._notice(f"ended the {name} that an earlier `sagapost up` left behind")
            check_ports(settings)
            self._forget_ready()
            supervisor = Supervisor(
                settings.data_dir,
                notice=self._notice,
                environment=loopback_environment(settings),
                patience=self._patience,
            )
            try:
                await _unless(stop, self._serve(supervisor, on_ready))
            finally:
                self._forget_ready()
                await supervisor.stop()

    async def _serve(self, supervisor: Supervisor, on_ready: Callable[[Ready], None]) -> None:
        settings = self.settings
        if settings.embeds_temporal:
            await supervisor.start(temporal(settings))
        else:
            await _use_cluster(settings)
        api_key = await self._prepare(settings)
        await supervisor.start(*self._processes)

        def tell() -> Ready:
            ready = _ready(settings, api_key, supervisor.pids)
            if self._ready_file is not None:
                ready.write(self._ready_file)
            return ready

        supervisor.on_restart = tell
        on_ready(tell())
        await supervisor.watch()

    def _forget_ready(self) -> None:
        """A ready file stands for a stack that answers."""
        if self._ready_file is not None:
            self._ready_file.unlink(missing_ok=True)


def temporal(settings: Settings) -> Child:
    """The embedded Temporal server. Raises BinaryMissing."""

    async def is_ready(_pid: int) -> bool:
        return await temporal_answers(settings)

    return Child("temporal", server_command(settings), is_ready)


def worker(settings: Settings) -> Child:
    async def is_ready(pid: int) -> bool:
        return is_marked_ready(settings, "worker", pid)

    return Child("worker", sagapost_command("worker"), is_ready)


def api(settings: Settings) -> Child:
    async def is_ready(_pid: int) -> bool:
        return await api_answers(settings)

    return Child("api", sagapost_command("api"), is_ready)


def sagapost_command(name: str) -> tuple[str, ...]:
    """Without -P a folder named `cli` where the person stands would be taken for ours."""
    return (sys.executable, "-P", "-m", "cli.main", name)


async def api_answers(settings: Settings) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.get(f"{settings.api_url}/v2/health/ready")
            return answer.status_code == httpx.codes.OK
    return False


def ports(settings: Settings) -> list[tuple[str, int, str]]:
    """Where the stack will listen: host, port, and the variable that changes it."""
    listens = [(settings.api_host, settings.api_port, "SAGAPOST_API_PORT")]
    if settings.embeds_temporal:
        listens.append(("127.0.0.1", settings.temporal_port, "SAGAPOST_TEMPORAL_PORT"))
        listens.append(("127.0.0.1", settings.temporal_ui_port, "SAGAPOST_TEMPORAL_UI_PORT"))
    return listens


def check_ports(settings: Settings) -> None:
    """Raises PortInUse for the first that is taken."""
    for host, port, variable in ports(settings):
        if not is_free(host, port):
            raise PortInUse(host, port, variable)


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # Only a listener counts.
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _ready(settings: Settings, api_key: str | None, pids: dict[str, int]) -> Ready:
    return Ready(
        api_url=settings.api_url,
        api_key=api_key,
        temporal_address=settings.resolved_temporal_address,
        temporal_namespace=settings.temporal_namespace,
        temporal_ui_url=settings.resolved_temporal_ui_url,
        database_url=settings.resolved_database_url,
        pids={name: pids.get(name) for name in ("api", "worker", "temporal")},
    )


async def _use_cluster(settings: Settings) -> None:
    try:
        await register_search_attributes(settings)
    except Exception as error:
        raise ClusterUnreachable(
            settings.temporal_address, settings.temporal_namespace, error
        ) from error


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Do the work until it fails or `stop` is set."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
