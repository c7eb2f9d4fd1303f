"""Endpoints that turn out slow, or quick again, while much is pending for them."""

from functools import partial
from pathlib import Path

import pytest

from domain.health import SLOW_MS
from runtime.settings import Settings
from tests.hooks import hook
from tests.lifecycle import House, are, eventually, lifecycle_settings

AT_ONCE = 16


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No poll comes to the rescue of whoever was not woken."""
    return lifecycle_settings(tmp_path, relay_poll_interval="60s")


@pytest.mark.usefixtures("running")
async def test_what_is_pending_for_an_endpoint_that_changes_its_pace_goes_on_at_once(
    house: House,
) -> None:
    slowly = 1.5 * SLOW_MS / 1000
    async with hook() as receiver:
        receiver.answer = lambda _: slowly if len(receiver.got) <= AT_ONCE else 200
        await house.endpoint(url=receiver.url, max_in_flight=AT_ONCE)

        await house.publish(4 * AT_ONCE)

        await eventually(partial(are, house, "succeeded", 4 * AT_ONCE))
        assert await house.value("SELECT latency_ms FROM endpoint_tallies") < SLOW_MS
