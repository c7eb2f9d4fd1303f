import asyncio

from activities.gates import Gates


async def test_an_endpoint_has_no_more_at_once_than_it_takes() -> None:
    gates, inside = Gates(tenant_max=100), Inside()

    await asyncio.gather(*(inside.visit(gates, "t", "e", 3) for _ in range(20)))

    assert (inside.most, inside.visits) == (3, 20)


async def test_a_tenant_leaves_places_for_the_others() -> None:
    gates, mine, others = Gates(tenant_max=4), Inside(), Inside()
    mobs = [asyncio.create_task(mine.visit(gates, "t", f"e{n}", 10, s=9)) for n in range(8)]
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await others.visit(gates, "u", "f", 10)

    assert mine.most == 4
    for mob in mobs:
        mob.cancel()
    await asyncio.gather(*mobs, return_exceptions=True)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    gates, inside = Gates(tenant_max=1), Inside()
    first = asyncio.create_task(inside.visit(gates, "t", "e", s=0.05))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(inside.visit(gates, "t", f"e{n}", 1)) for n in range(5)]
    await asyncio.sleep(0)
    for task in waiting[:3]:
        task.cancel()

    await asyncio.gather(first, *waiting, return_exceptions=True)

    assert inside.visits == 3
    assert gates.is_empty


async def test_a_place_handed_over_to_one_who_is_cancelled_goes_to_the_next() -> None:
    gates, inside = Gates(tenant_max=1), Inside()
    async with gates.place("t", "e", 1):
        unlucky = asyncio.create_task(inside.visit(gates, "t", "e", 1))
        lucky = asyncio.create_task(inside.visit(gates, "t", "e", 1))
        await asyncio.sleep(0)
    unlucky.cancel()

    await asyncio.gather(unlucky, lucky, return_exceptions=True)

    assert lucky.exception() is None
    assert gates.is_empty


class Inside:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.now = self.most = self.visits = 0

    async def visit(
        self, gates: Gates, tenant: str, endpoint: str, most: int = 1, *, s: float = 0.001
    ) -> None:
        async with gates.place(tenant, endpoint, most):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(s)
            self.now -= 1
            self.visits += 1
