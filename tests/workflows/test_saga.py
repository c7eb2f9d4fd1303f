import asyncio

import pytest
from temporalio.client import Client, WorkflowFailureError

from tests.workflows.acting import Actors, refuses, stage


async def test_a_saga_runs_its_steps_in_order_and_tells_its_end_once(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        result = await on.run("straight")

    assert result == {"one": "one", "five": "five"}
    assert actors.calls == ["one", "two", "three", "four", "five"]
    assert actors.end.state == "completed"
