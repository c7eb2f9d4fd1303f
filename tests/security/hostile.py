"""All hostile receivers in a process of their own, so that what we measure is ours alone.

Run as a module it prints `{"kind": port, …}` and serves until its standard input ends.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.runtime.receivers import OK, Answer, http, once, receiving

ROOT = Path(__file__).parents[2]
ORDINARY = "ordinary "


@dataclass(frozen=True)
class Crowd:
    """URLs: of one receiver for each kind of attack, and of as many ordinary ones."""

    hostile: list[str]
    ordinary: list[str]


@asynccontextmanager
async def crowd_of_receivers() -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ports = json.loads(await process.stdout.readline())
        urls = {kind: f"http://127.0.0.1:{port}/" for kind, port in ports.items()}
        ordinary = [url for kind, url in urls.items() if kind.startswith(ORDINARY)]
        yield Crowd([url for url in urls.values() if url not in ordinary], ordinary)
    finally:
        process.stdin.close()
        await process.wait()


def receivers() -> dict[str, Answer]:
    from tests.runtime.test_http_hostile import BAD, BOMB, LATE, endless_body, endless_trailers

    bomb = once(http(200, "Content-Encoding: gzip", body=BOMB))
    more = {"bomb": bomb, "endless body": endless_body, "endless trailers": endless_trailers}
    hostile = LATE | BAD | more
    ordinary = {f"{ORDINARY}{number}": once(OK) for number in range(len(hostile))}
    return hostile | ordinary


async def serve() -> None:
    os.nice(10)  # An attacker's work is not done on our processors.
    async with AsyncExitStack() as stack:
        ports = {
            kind: (await stack.enter_async_context(receiving(answer))).port
            for kind, answer in receivers().items()
        }
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
