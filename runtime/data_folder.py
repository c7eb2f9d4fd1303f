"""The data folder: private files, written whole or not at all, and one `sagapost up` at a time."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import DataFolderInUse, DataFolderUnusable

LOCK_FILE = "up.lock"


def make_data_folder(folder: Path) -> None:
    """Raises DataFolderUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _temporary_file(folder / "probe", "").unlink()
    except OSError as error:
        raise DataFolderUnusable(folder, error) from error


def write_private_file(path: Path, text: str) -> None:
    """Replace the file in one move: a reader sees the old text or the new one, never half."""
    temporary = _temporary_file(path, text)
    temporary.replace(path)


def new_private_file(path: Path, text: str) -> None:
    """Make the file unless it exists. Of several processes at once, exactly one makes it."""
    temporary = _temporary_file(path, text)
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


def _temporary_file(path: Path, text: str) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return Path(name)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the kernel lets go when this process ends in any way.

    Raises DataFolderInUse.
    """
    with (folder / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DataFolderInUse(folder, file.read().strip() or "unknown") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether a `sagapost up` runs on the folder."""
    try:
        file = (folder / LOCK_FILE).open()
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
