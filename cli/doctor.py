"""`sagapost doctor`: what works, what does not, and what to change."""

import asyncio
import platform
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import typer
from sqlalchemy.engine import URL, make_url

from cli.console import EXIT_FAILED, load_settings, screen
from cli.findings import Finding
from runtime.data_folder import is_locked, make_data_folder
from runtime.errors import BinaryMissing, DataFolderUnusable
from runtime.settings import Settings


def doctor() -> None:
    """Check the program, ports, database and Temporal; exit code 1 if anything is wrong."""
    findings = asyncio.run(_examine(load_settings()))
    for finding in findings:
        mark, style = ("✓", "green") if finding.ok else ("✗", "red")
        screen.print(mark, f"{finding.subject:<12}", finding.text, style=style)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_FAILED)


async def _examine(settings: Settings) -> list[Finding]:
    return [finding async for finding in _findings(settings)]


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    running = is_locked(settings.data_dir)
    yield Finding(sys.version_info >= (3, 11), "python", platform.python_version())
    if settings.embeds_temporal:
        yield await _program()
    yield _data_folder(settings, running=running)
    for finding in _ports(settings, running=running):
        yield finding
    database = await _database(settings)
    yield database
    if database.ok and not _is_missing_file(make_url(settings.resolved_database_url)):
        from cli.checkup import check_up

        for finding in await check_up(settings.resolved_database_url):
            yield finding
    yield await _temporal(settings, running=running)


async def _program() -> Finding:
    from runtime.embedded import temporal_binary

    try:
        binary = temporal_binary()
    except BinaryMissing as error:
        return Finding(ok=False, subject="program", text=str(error))
    asked = await asyncio.create_subprocess_exec(
        str(binary), "--version", stdout=asyncio.subprocess.PIPE
    )
    version, _ = await asked.communicate()
    return Finding(asked.returncode == 0, "program", version.decode().strip())


def _data_folder(settings: Settings, *, running: bool) -> Finding:
    if not settings.data_dir.exists():
        text = f"{settings.data_dir} is not made yet: `sagapost up` makes it"
        return Finding(ok=True, subject="data folder", text=text)
    try:
        make_data_folder(settings.data_dir)
    except DataFolderUnusable as error:
        return Finding(ok=False, subject="data folder", text=str(error))
    use = "a stack runs on it" if running else "no stack runs on it"
    return Finding(ok=True, subject="data folder", text=f"{settings.data_dir}: {use}")


def _ports(settings: Settings, *, running: bool) -> list[Finding]:
    from runtime.stack import is_free, ports

    findings = []
    for host, port, variable in ports(settings):
        free = is_free(host, port)
        state = "free" if free else "in use by the running stack" if running else "in use"
        hint = "" if free or running else f": stop what uses it, or set {variable}"
        findings.append(Finding(free or running, "port", f"{port} on {host} is {state}{hint}"))
    return findings


async def _database(settings: Settings) -> Finding:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine

    url = make_url(settings.resolved_database_url)
    shown = url.render_as_string(hide_password=True)
    if _is_missing_file(url):
        return Finding(ok=True, subject="database", text=f"{shown} is not made yet")
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as error:
        return Finding(ok=False, subject="database", text=f"{shown} does not answer: {error}")
    finally:
        await engine.dispose()
    return Finding(ok=True, subject="database", text=f"{shown} answers")


def _is_missing_file(url: URL) -> bool:
    """Connecting would make the file, and a doctor changes nothing."""
    return url.drivername.startswith("sqlite") and not Path(str(url.database)).exists()


async def _temporal(settings: Settings, *, running: bool) -> Finding:
    from temporalio.service import RPCError

    from runtime.embedded import missing_search_attributes

    address = settings.resolved_temporal_address
    try:
        missing = await missing_search_attributes(settings)
    except (RPCError, RuntimeError) as error:
        if settings.embeds_temporal and not running:
            return Finding(ok=True, subject="temporal", text="not running: `sagapost up` starts it")
        return Finding(ok=False, subject="temporal", text=f"{address} does not answer: {error}")
    if missing:
        text = (
            f"{address} lacks the search attributes {', '.join(missing)}: `sagapost up` adds them"
        )
        return Finding(ok=False, subject="temporal", text=text)
    return Finding(ok=True, subject="temporal", text=f"{address} answers")


def register(app: typer.Typer) -> None:
    app.command()(doctor)
