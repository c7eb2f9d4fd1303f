"""The supervisor: child processes that are started, awaited, restarted when they die, and stopped.

It knows nothing of Sagapost: a child is a name, a command, and a question that tells whether it
answers. Each child has its own process group, so a Ctrl-C at the terminal reaches only us.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runtime.data_folder import write_private_file
from runtime.errors import ChildFailed
from runtime.settings import Settings

TETHER = Path(__file__).with_name("tether.py")
CHILDREN_FILE = "children.json"
LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_TAIL_LINES = 12
POLL_S = 0.05
SAME_START_S = 2.0  # A process that started within this of the recorded time is the recorded one.


@dataclass(frozen=True)
class Child:
    """One process to keep alive. `is_ready` is asked with its pid until it says yes."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[int], Awaitable[bool]]


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try again, before giving up on a child."""

    ready_within_s: float = 60.0
    crash_within_s: float = 5.0
    crashes_max: int = 5
    backoff_first_s: float = 0.25
    backoff_max_s: float = 5.0
    stop_within_s: float = 15.0

    def is_crash(self, code: int, lived_s: float) -> bool:
        """Whether it died early and by its own doing: whoever sends KILL or TERM means it."""
        return lived_s < self.crash_within_s and code not in (-signal.SIGKILL, -signal.SIGTERM)

    def backoff_s(self, crashes: int) -> float:
        return float(min(self.backoff_first_s * 2**crashes, self.backoff_max_s))


@dataclass
class _Kept:
    """A child and the process that is it at the moment."""

    child: Child
    log: Path
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = None

    def failed(self, what: str) -> ChildFailed:
        return ChildFailed(self.child.name, what, self.log, _tail(self.log))


class Supervisor:
    """Groups of children: started one group after another, stopped in the reverse order."""

    def __init__(
        self,
        folder: Path,
        *,
        notice: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._folder = folder
        self._notice = notice
        self._environment = {**os.environ, **(environment or {})}
        self._patience = patience or Patience()
        self._groups: list[list[_Kept]] = []
        self.on_restart: Callable[[], object] = lambda: None

    @property
    def pids(self) -> dict[str, int]:
        return {
            kept.child.name: kept.process.pid for kept in self._kept() if kept.process is not None
        }

    async def start(self, *children: Child) -> None:
        """Start a group and return when all of it answers. Raises ChildFailed."""
        logs = self._folder / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        group = [_Kept(child, logs / f"{child.name}.log") for child in children]
        self._groups.append(group)
        for kept in group:
            kept.task = asyncio.create_task(self._keep(kept))
        answers = asyncio.create_task(_all_answer(group))
        try:
            within_s = self._patience.ready_within_s
            await asyncio.wait(
                [answers, *self._tasks()], timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            answers.cancel()
        for task in self._tasks():
            if task.done():
                task.result()  # Raises why the child could not be kept.
        for kept in group:
            if not kept.answered.is_set():
                raise kept.failed(f"did not answer in {within_s:g} s")

    async def watch(self) -> None:
        """Keep the children alive until one cannot be. Raises ChildFailed; never returns."""
        await asyncio.gather(*self._tasks())

    async def stop(self) -> None:
        """End every child, the last group first, by SIGTERM and after a while by SIGKILL."""
        for task in self._tasks():
            task.cancel()
        await asyncio.gather(*self._tasks(), return_exceptions=True)
        for group in reversed(self._groups):
            await asyncio.gather(*(self._end(kept) for kept in group))
        (self._folder / CHILDREN_FILE).unlink(missing_ok=True)

    def _kept(self) -> list[_Kept]:
        return [kept for group in self._groups for kept in group]

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [kept.task for kept in self._kept() if kept.task is not None]

    async def _keep(self, kept: _Kept) -> None:
        crashes = 0
        while True:
            born = time.monotonic()
            await self._spawn(kept)
            await self._await_answer(kept)
            assert kept.process is not None
            code = await kept.process.wait()
            lived_s = time.monotonic() - born
            crashes = crashes + 1 if self._patience.is_crash(code, lived_s) else 0
            if crashes >= self._patience.crashes_max:
                what = f"died {crashes} times in a row, last {_how_it_ended(code)}"
                raise kept.failed(what)
            self._notice(f"{kept.child.name} died ({_how_it_ended(code)}): starting it again")
            await asyncio.sleep(self._patience.backoff_s(crashes))

    async def _spawn(self, kept: _Kept) -> None:
        _keep_small(kept.log)
        tether = (sys.executable, "-I", "-S", str(TETHER), str(os.getpid()))
        with kept.log.open("ab") as log:
            kept.process = await asyncio.create_subprocess_exec(
                *tether,
                *kept.child.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        _record(self._folder / CHILDREN_FILE, self.pids)

    async def _await_answer(self, kept: _Kept) -> None:
        process = kept.process
        assert process is not None
        while process.returncode is None:
            if await kept.child.is_ready(process.pid):
                self._announce(kept, process.pid)
                return
            await asyncio.sleep(POLL_S)

    def _announce(self, kept: _Kept, pid: int) -> None:
        if kept.answered.is_set():
            self._notice(f"{kept.child.name} answers again, as pid {pid}")
            self.on_restart()
        kept.answered.set()

    async def _end(self, kept: _Kept) -> None:
        process = kept.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self._patience.stop_within_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # Its own children, or itself where it hangs.
        await process.wait()


async def _all_answer(group: list[_Kept]) -> None:
    for kept in group:
        await kept.answered.wait()


def mark_ready(settings: Settings, name: str) -> None:
    """A child without a port says by this file that it works."""
    write_private_file(_ready_mark(settings, name), f"{os.getpid()}\n")


def is_marked_ready(settings: Settings, name: str, pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return _ready_mark(settings, name).read_text().strip() == str(pid)
    return False


def end_leftovers(folder: Path) -> list[str]:
    """Kill what a supervisor that was itself killed left behind. Returns the names."""
    record = folder / CHILDREN_FILE
    if not record.exists():
        return []
    left = [
        (name, process)
        for name, (pid, born) in json.loads(record.read_text()).items()
        if (process := _still_alive(pid, born)) is not None
    ]
    for _, process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([process for _, process in left], timeout=5)
    record.unlink()
    return [name for name, _ in left]


def _ready_mark(settings: Settings, name: str) -> Path:
    return settings.data_dir / f"{name}.ready"


def _record(path: Path, pids: dict[str, int]) -> None:
    births = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            births[name] = (pid, psutil.Process(pid).create_time())
    write_private_file(path, json.dumps(births))


def _still_alive(pid: int, born: float) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - born) < SAME_START_S:
            return process
    return None


def _how_it_ended(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _keep_small(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))


def _tail(log: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode(errors="replace")
        return text.splitlines()[-LOG_TAIL_LINES:]
    return []
