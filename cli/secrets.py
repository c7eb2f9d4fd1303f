"""`sagapost secrets`: the keys that encrypt secrets at rest, and moving to a new one."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.table import Table

from cli.console import EXIT_FAILED, errors, load_settings, refuse, screen
from runtime.data_folder import make_data_folder, write_private_file
from runtime.setting_types import SECRETS_KEY_BYTES
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.database import Database

Result = TypeVar("Result")

secrets = typer.Typer(
    help="The keys that encrypt secrets at rest: where each is used, and how to move to a new one.",
    no_args_is_help=True,
)


@secrets.command()
def status() -> None:
    """Show how much each key encrypts; exit code 1 if a key is missing or an old one in use."""
    from runtime.keyfile import secrets_keys
    from runtime.vault import Vault
    from storage.sealed import SealedKind, count_by_key

    settings = load_settings()
    known = [Vault([key]).key_id for key in secrets_keys(settings)]

    async def look(database: "Database") -> dict[str, dict[str, int]]:
        async with database.read() as session:
            return {kind.value: await count_by_key(session, kind) for kind in SealedKind}

    found = _with_database(settings, look)
    table = Table("encrypted", "key", "rows", "", box=None)
    behind = False
    for kind, rows in found.items():
        for key_id, number in sorted(rows.items()):
            note = _note(known, key_id)
            behind = behind or bool(note)
            table.add_row(kind, key_id, str(number), note)
    screen.print(f"the key that encrypts now: {known[0]}; keys that decrypt: {', '.join(known)}")
    screen.print(table)
    if behind:
        raise typer.Exit(EXIT_FAILED)


def _note(known: list[str], key_id: str) -> str:
    """Answers are known by the start of their key's id only."""
    for number, known_id in enumerate(known):
        if known_id.startswith(key_id):
            return "old: `sagapost secrets reencrypt` moves it" if number else ""
    return "unknown key: put it into SAGAPOST_SECRETS_KEY, behind the others"


@secrets.command()
def reencrypt() -> None:
    """Move everything to the newest key, while the system runs.

    First give every process both keys, the new one in front, and start it again: only then may
    anything be encrypted with the new one. Afterwards the old key can be taken away.
    """
    from runtime.keyfile import secrets_keys
    from runtime.reencrypt import Reencrypted
    from runtime.reencrypt import reencrypt as move
    from runtime.vault import Vault

    settings = load_settings()
    vault = Vault(secrets_keys(settings))

    async def run(database: "Database") -> Reencrypted:
        return await move(database, vault)

    done = _with_database(settings, run)
    for kind, number in done.moved.items():
        screen.print(f"{kind}: {number} moved to key {vault.key_id}")
    if done.unopened:
        errors.print(f"{len(done.unopened)} could not be opened: no key we have sealed them")
        raise typer.Exit(EXIT_FAILED)
    screen.print("everything is encrypted with the newest key")


@secrets.command("new-key")
def new_key() -> None:
    """Make a new key: in front of the key file's, or printed if SAGAPOST_SECRETS_KEY is set."""
    from runtime.keyfile import KEY_FILE, secrets_keys

    settings = load_settings()
    key = base64.b64encode(os.urandom(SECRETS_KEY_BYTES)).decode()
    if settings.secrets_key.get_secret_value():
        screen.print(f"put this and a comma in front of SAGAPOST_SECRETS_KEY: {key}")
        return
    make_data_folder(settings.data_dir)
    old = [base64.b64encode(one).decode() for one in secrets_keys(settings)]
    write_private_file(settings.data_dir / KEY_FILE, ",".join([key, *old]) + "\n")
    screen.print("start every process again, then run `sagapost secrets reencrypt`")


def _with_database(settings: Settings, work: Callable[["Database"], Awaitable[Result]]) -> Result:
    from sqlalchemy.exc import SQLAlchemyError

    from runtime.database import Database

    async def run() -> Result:
        database = Database(settings.resolved_database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (SQLAlchemyError, OSError) as error:
        refuse(f"the database cannot be used: {error}", EXIT_FAILED)


def register(app: typer.Typer) -> None:
    app.add_typer(secrets, name="secrets")
