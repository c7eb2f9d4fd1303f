"""What stands behind each outside party's port: its sandbox, unless a setting names another."""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from activities.connectors.sandbox import Sandbox
from runtime.database import Database
from runtime.errors import CannotStart
from runtime.settings import PREFIX, Settings

Port = TypeVar("Port")
NAME = f"{PREFIX}CONNECTORS"


class NoSuchConnector(CannotStart):
    """The setting names a party that nobody asks, or a class that is not there."""


class Connectors:
    """Ask for every party, then `check`."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._named = named_in(settings.connectors)
        self._asked: set[str] = set()

    def of(self, party: str, sandbox: Callable[[Sandbox], Port]) -> Port:
        """The sandbox, or what the setting names: called with the settings, of the same port.

        Raises NoSuchConnector.
        """
        self._asked.add(party)
        path = self._named.get(party)
        if path is None:
            return sandbox(Sandbox(party, self._database))
        made = _load(party, path)(self._settings)
        port = _port_of(sandbox)
        if not isinstance(made, port):
            raise NoSuchConnector(f"{NAME}: {party}={path} makes no {port.__name__}")
        return cast(Port, made)

    def check(self) -> None:
        """Raises NoSuchConnector for a party that was not asked for: it is misspelt."""
        if unknown := sorted(self._named.keys() - self._asked):
            raise NoSuchConnector(f"{NAME}: there is no outside party {', '.join(unknown)}")


def named_in(setting: str) -> dict[str, str]:
    """`party=module:name, …` as party → `module:name`."""
    pairs = (part.strip().partition("=") for part in setting.split(",") if part.strip())
    return {party: path for party, _, path in pairs}


def _load(party: str, path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NoSuchConnector(f"{NAME}: {party}={path}: {error}") from None


def _port_of(sandbox: Callable[[Sandbox], Any]) -> type:
    """A sandbox is a class that implements its port."""
    assert isinstance(sandbox, type)
    return sandbox.__mro__[1]
