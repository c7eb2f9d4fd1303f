"""A crowd of deliveries to one origin does not knock all at once."""

import asyncio
from contextlib import closing
from datetime import timedelta
from socket import socket

import pytest

from domain.delivery import OutcomeClass
from runtime.address_guard import DIALS_AT_ONCE_MAX
from runtime.dials import Dials
from runtime.http import ClientLimits
from tests.runtime.clients import post, webhook_client
from tests.runtime.receivers import OK, always, receiving

CROWD = 300


async def test_to_one_origin_no_more_are_made_at_once_and_all_have_their_turn() -> None:
    dials, under_way, most, made = Dials(3), 0, 0, 0

    async def make() -> None:
        nonlocal under_way, most, made
        if not dials.begin_at_once("a"):
            await dials.begin("a")
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        made += 1
        dials.end("a")

    await asyncio.gather(*(make() for _ in range(20)))

    assert (most, made) == (3, 20)
    assert dials.is_idle


async def test_who_waits_need_not_dial_when_a_connection_becomes_idle() -> None:
    dials = Dials(1)
    assert dials.begin_at_once("a")
    waiting = asyncio.create_task(dials.begin("a"))
    await asyncio.sleep(0)
    assert dials.begin_at_once("b"), "another origin is another matter"

    dials.let_one_more("a")

    await waiting
    assert not dials.begin_at_once("a"), "the first still dials"
    dials.end("a")
    assert not dials.begin_at_once("a"), "and one of them does even now"
    dials.end("a")
    dials.end("b")
    assert dials.is_idle


async def test_who_gives_up_waiting_leaves_nothing_and_a_turn_that_came_too_late_goes_on() -> None:
    dials = Dials(1)
    assert dials.begin_at_once("a")
    gave_up, late, next_one = (asyncio.create_task(dials.begin("a")) for _ in range(3))
    await asyncio.sleep(0)
    gave_up.cancel()
    await asyncio.sleep(0.01)
    assert not late.done(), "it had no turn to give away"

    dials.end("a")  # The second one's turn, and in that moment it is cancelled.
    late.cancel()

    async with asyncio.timeout(5):
        await next_one
    await asyncio.gather(gave_up, late, return_exceptions=True)
    dials.end("a")
    assert dials.is_idle


@pytest.mark.parametrize("is_given_up_first", [True, False])
async def test_the_last_one_who_gives_up_as_the_place_becomes_free_leaves_nothing(
    *, is_given_up_first: bool
) -> None:
    dials = Dials(1)
    assert dials.begin_at_once("a")
    waiting = asyncio.create_task(dials.begin("a"))
    await asyncio.sleep(0)

    if is_given_up_first:
        waiting.cancel()
    dials.end("a")
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert dials.is_idle


async def test_an_origin_that_takes_no_connection_is_dialled_by_few_at_a_time() -> None:
    with closing(socket()) as full, closing(socket()) as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        async with receiving(always(OK)) as other, webhook_client(limits=PATIENT) as client:
            hanging = [asyncio.create_task(post(client, url, seconds=3)) for _ in range(100)]
            await asyncio.sleep(0.1)
            dialled = client.dialled
            assert (await post(client, other.url)).succeeded
            outcomes = {outcome.outcome for outcome in await asyncio.gather(*hanging)}

    assert dialled == DIALS_AT_ONCE_MAX
    assert outcomes == {OutcomeClass.CONNECT}


PATIENT = ClientLimits(
    exchanges_per_origin_max=CROWD,
    dns_deadline=timedelta(seconds=0.2),
    connect_deadline=timedelta(seconds=0.5),
)


async def test_a_crowd_shares_the_connections_that_the_first_ones_made() -> None:
    limits = ClientLimits(exchanges_per_origin_max=CROWD)
    async with receiving(always(OK)) as receiver, webhook_client(limits=limits) as client:
        outcomes = await asyncio.gather(
            *(post(client, receiver.url, seconds=20) for _ in range(CROWD))
        )

    assert all(outcome.succeeded for outcome in outcomes)
    assert client.dialled < CROWD
