"""The event loop of the long-running processes."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def run_process(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main function to its end, on the fastest loop there is."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
