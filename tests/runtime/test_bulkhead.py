import asyncio

import pytest

from runtime.bulkhead import Bulkhead, Congested


async def test_no_place_takes_more_than_its_share() -> None:
    bulkhead = Bulkhead(slots_max=10, per_place_max=2)

    assert await holders(bulkhead, ["slow"] * 5 + ["good"] * 2) == ["slow"] * 2 + ["good"] * 2


async def test_all_places_together_have_a_limit() -> None:
    bulkhead = Bulkhead(slots_max=3, per_place_max=2)

    assert await holders(bulkhead, ["a", "b", "c", "d"]) == ["a", "b", "c"]


async def test_who_waits_gets_the_slot_that_becomes_free() -> None:
    bulkhead = Bulkhead(slots_max=1, per_place_max=1)
    until = asyncio.get_running_loop().time() + 1

    async def hold() -> None:
        async with bulkhead.slot("a", until):
            await asyncio.sleep(0.01)

    await asyncio.gather(*[hold() for _ in range(5)])


async def test_who_waits_for_its_place_does_not_hold_a_slot_of_all() -> None:
    bulkhead = Bulkhead(slots_max=2, per_place_max=1)

    assert await holders(bulkhead, ["slow", "slow", "slow", "good"]) == ["slow", "good"]


async def test_places_are_forgotten() -> None:
    bulkhead = Bulkhead(slots_max=1, per_place_max=1)
    until = asyncio.get_running_loop().time() + 0.01
    for number in range(100):
        async with bulkhead.slot(f"place {number}", until + 1):
            with pytest.raises(Congested):
                async with bulkhead.slot(f"place {number}", until):
                    pass

    assert not bulkhead.places


async def holders(bulkhead: Bulkhead, places: list[str]) -> list[str]:
    """Which of them get a slot, where nobody gives one back in time."""
    got = []
    until = asyncio.get_running_loop().time() + 0.05

    async def hold(place: str) -> None:
        async with bulkhead.slot(place, until):
            got.append(place)
            await asyncio.sleep(0.1)

    await asyncio.gather(*[hold(place) for place in places], return_exceptions=True)
    return got
