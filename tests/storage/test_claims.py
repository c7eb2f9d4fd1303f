"""Claims: fair, in order, within limits; on both engines."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.batch import Claimed
from domain.limits import Rate
from runtime.database import Database
from storage import claims, lanes, redelivery, stranded
from storage.claims import Limits, Taken
from storage.lanes import Turns
from storage.redelivery import By
from storage.types import utc_now
from tests.lifecycle import House

LEASE = timedelta(seconds=60)
ACCOUNT = "data.account_uuid"
BALANCE = "account.balance_updated"


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


@dataclass
class Relay:
    """What a relay remembers between two claims."""

    house: House
    size_max: int = 64
    turns: Turns = field(default_factory=Turns)
    after: str = ""

    async def take(self, *, slow: bool = False, now: datetime | None = None) -> Taken:
        database = self.house.database
        async with database.read() as session:
            look = await lanes.look(session, self.after, slow=slow, most=self.size_max)
        self.after = look.next_after
        if not look.lanes:
            return Taken()
        self.turns.number += 1
        limits = Limits(self.size_max, LEASE)
        return await database.transact(
            lambda session: claims.claim(
                session, look.lanes, self.turns, limits, now=now or utc_now()
            )
        )

    async def claim(self, **options: Any) -> Sequence[Any]:
        """The rows of the next claim."""
        taken = await self.take(**options)
        if taken.claimed is None:
            return []
        return await self.house.rows(
            "SELECT * FROM deliveries WHERE claim_id = :id ORDER BY id", id=taken.claimed.claim_id
        )


async def test_the_oldest_are_claimed_first_and_none_twice(house: House) -> None:
    await house.endpoint(max_in_flight=100)
    events = await house.publish(10)
    relay = Relay(house, size_max=4)

    seen = [row.event_id for _ in range(4) for row in await relay.claim()]

    assert seen == events
    assert await states(house) == {"claimed": 10}


async def test_two_relays_side_by_side_never_claim_the_same(house: House) -> None:
    for _ in range(5):
        await house.endpoint(max_in_flight=1_000)
    await house.publish(40)
    relays = [Relay(house, size_max=16) for _ in range(4)]

    async def run(relay: Relay) -> list[str]:
        return [row.id for _ in range(12) for row in await relay.claim()]

    claimed = [id for ids in await asyncio.gather(*map(run, relays)) for id in ids]

    assert len(claimed) == len(set(claimed))
    while rows := await relays[0].claim():  # A lane that another relay held is left for later.
        claimed += [row.id for row in rows]
    assert len(set(claimed)) == 200


async def test_a_tenant_with_much_leaves_the_others_their_turn(house: House) -> None:
    for name in ("big", "small"):
        await house.tenant(name)
    for _ in range(3):
        await house.endpoint(tenant_id="big", max_in_flight=1_000)
    await house.endpoint(tenant_id="small", max_in_flight=1_000)
    await house.publish(100, tenant="big")
    await house.publish(20, tenant="small")

    rows = await Relay(house, size_max=40).claim()

    assert Counter(row.tenant_id for row in rows) == {"big": 20, "small": 20}
    assert max(Counter(row.endpoint_id for row in rows if row.tenant_id == "big").values()) == 7


async def test_more_tenants_than_a_claim_holds_all_have_their_turn(house: House) -> None:
    for number in range(20):
        await house.tenant(f"t{number:02}")
        await house.endpoint(tenant_id=f"t{number:02}")
        await house.publish(2, tenant=f"t{number:02}")
    relay = Relay(house, size_max=8)

    served = [row.tenant_id for _ in range(3) for row in await relay.claim()]

    assert set(served) == {f"t{number:02}" for number in range(20)}


async def test_a_fresh_delivery_goes_before_a_replay_that_was_first(house: House) -> None:
    await house.endpoint()
    replayed = await house.publish(50)
    await house.execute("UPDATE deliveries SET priority = 1")
    [fresh] = await house.publish(1)
    relay = Relay(house, size_max=8)

    first, second = await relay.claim(), await relay.claim()

    assert [row.event_id for row in first] == [fresh]
    assert [row.event_id for row in second] == replayed[:8]


async def test_a_replay_is_not_starved_by_what_is_fresh_for_others(house: House) -> None:
    await house.endpoint(event_types=["yield.harvested"], max_in_flight=1_000)
    replaying = await house.endpoint(event_types=[BALANCE])
    await house.publish(20, BALANCE)
    await house.execute("UPDATE deliveries SET priority = 1")
    await house.publish(500)

    rows = await Relay(house, size_max=64).claim()

    assert Counter(row.endpoint_id for row in rows)[replaying.id] == 64 // 8


async def test_no_more_are_claimed_than_an_endpoint_takes_at_once(house: House) -> None:
    endpoint = await house.endpoint(max_in_flight=10)
    await house.publish(30)
    relay = Relay(house)

    assert len(await relay.claim()) == 10
    assert (await relay.take()).claimed is None
    await settle(house, 4)
    assert (await relay.take()).claimed is None  # Not one by one: half of them have to be free.
    await settle(house, 1)
    assert len(await relay.claim()) == 5
    assert await attempts(house, endpoint.id) == 0


async def test_a_rate_limit_is_kept_and_what_waits_burns_no_attempt(house: House) -> None:
    endpoint = await house.endpoint(rate_limit_per_minute=600, max_in_flight=1_000)
    await house.publish(900)
    relay, begin, claimed = Relay(house), utc_now(), []
    for tick in range(150):
        taken = await relay.take(now=begin + timedelta(seconds=tick / 2))
        if taken.claimed is not None:
            claimed += [tick / 2] * taken.claimed.size
            await settle(house, taken.claimed.size)
        else:
            assert taken.wait is not None

    for start in claimed:
        assert sum(start <= at < start + 60 for at in claimed) <= 600
    assert len(claimed) >= 700
    assert await attempts(house, endpoint.id) == 0


async def test_a_rate_is_shared_with_retries(house: House) -> None:
    endpoint = await house.endpoint(rate_limit_per_minute=60)
    await house.publish(5)
    now, rate = utc_now(), Rate(60)

    async def take_one() -> timedelta:
        return await house.database.transact(
            lambda session: lanes.take_one(session, endpoint.id, rate, now=now)
        )

    assert await take_one() == timedelta()
    assert await take_one() == timedelta(seconds=1)
    taken = await Relay(house).take(now=now)
    assert (taken.claimed, taken.wait) == (None, timedelta(seconds=1))


async def test_a_tenant_holds_only_so_many_places(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TENANT_IN_FLIGHT_MAX", 60)
    for _ in range(4):
        await house.endpoint(max_in_flight=30)
    await house.publish(100)
    relay = Relay(house)

    while (await relay.take()).claimed is not None:
        pass

    assert 60 <= (await states(house))["claimed"] < 60 + 4 * 30


async def test_endpoints_known_to_be_slow_are_claimed_apart(house: House) -> None:
    quick, slow = await house.endpoint(), await house.endpoint()
    await house.execute(
        "INSERT INTO endpoint_tallies (endpoint_id, minutes, failures_in_a_row, failed_deliveries,"
        " warned_percent, latency_ms, recovery_round, drain, drain_actor)"
        " VALUES (:id, '[]', 0, '[]', 0, 1875, 0, 'drain', 'system')",
        id=slow.id,
    )
    await house.publish(3)
    relay = Relay(house)

    assert {row.endpoint_id for row in await relay.claim(slow=False)} == {quick.id}
    assert {row.endpoint_id for row in await relay.claim(slow=True)} == {slow.id}


@pytest.mark.parametrize("health", ["parked", "disabled"])
async def test_a_parked_endpoint_is_passed_over(house: House, health: str) -> None:
    unwell, other = await house.endpoint(), await house.endpoint()
    await house.publish(5)
    await house.execute("UPDATE endpoints SET health = :h WHERE id = :id", h=health, id=unwell.id)

    rows = await Relay(house).claim()

    assert {row.endpoint_id for row in rows} == {other.id}


async def test_strict_order_sends_one_run_at_a_time(house: House) -> None:
    await house.endpoint(ordering="strict")
    events = await house.publish(40)
    relay = Relay(house)

    first = await relay.claim()

    assert [row.event_id for row in first] == events[: lanes.RUN_MAX]
    assert (await relay.take()).claimed is None
    await settle(house, len(first))
    assert [row.event_id for row in await relay.claim()] == events[lanes.RUN_MAX :]


async def test_a_key_that_waits_does_not_hold_up_the_others(house: House) -> None:
    await house.endpoint(ordering="per_key", ordering_key=ACCOUNT, max_in_flight=1_000)
    for number in range(30):
        await house.publish(1, BALANCE, account_uuid=f"a{number % 3}")
    await fail_first(house, "key:a0")
    relay = Relay(house)

    rows = await relay.claim()

    assert Counter(row.ordering_key for row in rows) == {"key:a1": 10, "key:a2": 10}
    for key in ("key:a1", "key:a2"):
        ids = [row.id for row in rows if row.ordering_key == key]
        assert ids == sorted(ids)
    assert (await relay.take()).claimed is None


async def test_behind_a_head_that_was_skipped_the_line_moves_on(house: House) -> None:
    await house.endpoint(ordering="strict", head_of_line="skip_after:3")
    await house.publish(5)
    await fail_first(house, "*", attempts=2)
    relay = Relay(house)

    assert (await relay.take()).claimed is None
    await house.execute("UPDATE deliveries SET attempts = 3 WHERE state = 'retrying'")
    assert len(await relay.claim()) == 4


async def test_a_paused_delivery_holds_up_those_behind_it_and_not_those_before(
    house: House,
) -> None:
    await house.endpoint(ordering="strict")
    events = await house.publish(5)
    [third] = await house.rows("SELECT id FROM deliveries WHERE event_id = :id", id=events[2])
    await house.database.transact(
        lambda session: redelivery.pause(session, third.id, By("key_1", "wait"), now=utc_now())
    )
    relay = Relay(house)

    rows = await relay.claim()
    assert [row.event_id for row in rows] == events[:2]
    await settle(house, 2)
    assert (await relay.take()).claimed is None


async def test_what_a_person_sends_again_stands_in_no_line(house: House) -> None:
    await house.endpoint(ordering="strict")
    await house.publish(1)
    await house.settle_all("dead_lettered")
    [old] = await house.rows("SELECT id FROM deliveries")
    await house.publish(2)
    await fail_first(house, "*")

    await house.database.transact(
        lambda session: redelivery.redeliver(session, old.id, By("key_1", "again"), now=utc_now())
    )

    assert [row.id for row in await Relay(house).claim()] == [old.id]


async def test_many_keys_all_have_their_turn(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "KEYS_MAX", 8)
    await house.endpoint(ordering="per_key", ordering_key=ACCOUNT, max_in_flight=1_000)
    for number in range(30):
        await house.publish(1, BALANCE, account_uuid=f"a{number:02}")
    for number in range(20):
        await fail_first(house, f"key:a{number:02}")
    relay = Relay(house, size_max=4)

    seen = [row.ordering_key for _ in range(20) for row in await relay.claim()]

    assert sorted(seen) == [f"key:a{number}" for number in range(20, 30)]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    policy=st.sampled_from(["block", "skip_after:2", "park_key"]),
    story=st.lists(
        st.tuples(
            st.sampled_from(["publish", "claim", "claim", "win", "win", "fail", "crash"]),
            st.integers(0, 3),
        ),
        max_size=60,
    ),
)
async def test_the_order_of_a_key_is_never_broken(
    house: House, policy: str, story: list[tuple[str, int]]
) -> None:
    """Whatever succeeds, fails or crashes: of a key only what is at its head is claimed, once."""
    await house.execute("DELETE FROM deliveries")
    await house.execute("DELETE FROM endpoint_lanes")
    await house.execute("UPDATE endpoints SET deleted_at = created_at")
    await house.endpoint(
        ordering="per_key", ordering_key=ACCOUNT, head_of_line=policy, max_in_flight=1_000
    )
    relay, open_claims = Relay(house, size_max=6), list[Claimed]()
    for step, number in story:
        await act(house, relay, open_claims, step, number)
        await assert_in_order(house, passes=2 if policy == "skip_after:2" else 10**6)


async def act(
    house: House, relay: Relay, open_claims: list[Claimed], step: str, number: int
) -> None:
    if step == "publish":
        await house.publish(1, BALANCE, account_uuid=f"a{number}")
    elif step == "claim":
        taken = await relay.take()
        open_claims += [taken.claimed] if taken.claimed else []
    elif open_claims:
        claim = open_claims.pop(number % len(open_claims))
        heads = await house.rows(
            "SELECT min(id) AS id FROM deliveries WHERE claim_id = :id AND state = 'claimed'"
            " GROUP BY ordering_key",
            id=claim.claim_id,
        )
        await end_heads(house, step, [head.id for head in heads])
        rest = await house.rows(
            "SELECT id FROM deliveries WHERE claim_id = :id AND state = 'claimed'",
            id=claim.claim_id,
        )
        await house.database.transact(
            lambda session: claims.release(session, [row.id for row in rest])
        )


async def end_heads(house: House, step: str, ids: list[str]) -> None:
    """A worker that crashes has recorded the heads' failures, or nothing: here, nothing."""
    change = {
        "win": "state = 'succeeded', settled_at = created_at",
        "fail": "state = 'retrying', attempts = attempts + 1",
        "crash": "state = 'pending', claim_id = NULL",
    }[step]
    for id in ids:
        await house.execute(f"UPDATE deliveries SET {change} WHERE id = :id", id=id)


async def assert_in_order(house: House, *, passes: int) -> None:
    rows = await house.rows(
        "SELECT id, ordering_key, state, attempts, claim_id FROM deliveries ORDER BY id"
    )
    for key in {row.ordering_key for row in rows}:
        line = [row for row in rows if row.ordering_key == key and row.state != "succeeded"]
        line = [row for row in line if row.state != "retrying" or row.attempts < passes]
        claimed = [row for row in line if row.state == "claimed"]
        assert len({row.claim_id for row in claimed}) <= 1, f"{key}: two claims at once"
        assert claimed == line[: len(claimed)], f"{key}: not from the head"


async def test_an_expired_claim_is_taken_over_under_its_own_id(house: House) -> None:
    await house.endpoint()
    await house.publish(3)
    taken = await Relay(house).take()
    assert taken.claimed is not None

    later = utc_now() + LEASE + timedelta(seconds=1)
    expired, again = [
        await house.database.transact(
            lambda session: claims.expired_claims(session, lease=LEASE, now=later)
        )
        for _ in range(2)
    ]

    assert expired == [taken.claimed]
    assert again == []  # Whoever took it over has a lease of its own.


async def test_nothing_stays_on_the_wrong_side_of_a_race_with_its_endpoint(house: House) -> None:
    """An endpoint is parked, or recovers, between a publisher's reading it and its insert."""
    parked, healthy = await house.endpoint(), await house.endpoint()
    await house.publish(4)
    await house.execute("UPDATE endpoints SET health = 'parked' WHERE id = :id", id=parked.id)
    await house.execute(
        "UPDATE deliveries SET state = 'parked' WHERE endpoint_id = :id", id=healthy.id
    )

    async def sweep() -> int:
        return await house.database.transact(
            lambda session: stranded.put_right(session, now=utc_now())
        )

    assert await sweep() == 2
    assert await sweep() == 0
    assert await states(house, parked.id) == {"parked": 4}
    [(health, due)] = await house.rows(
        "SELECT health, recovery_due_at FROM endpoints JOIN endpoint_tallies ON endpoint_id = id"
        " WHERE id = :id",
        id=healthy.id,
    )
    assert health == "recovering"
    assert due is not None


async def test_publishing_beside_a_claim_waits_for_no_lock(database: Database) -> None:
    house = House(database)
    await house.endpoint(ordering="strict", rate_limit_per_minute=6_000)
    await house.publish(1)
    relay = Relay(house)

    async def publish() -> None:
        for _ in range(20):
            await house.publish(1)

    async def claim() -> None:
        for _ in range(20):
            await relay.take()

    async with asyncio.timeout(10):
        await asyncio.gather(publish(), claim())
    async with database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM deliveries"))).scalar() == 21


async def states(house: House, endpoint_id: str | None = None) -> dict[str, int]:
    where = "" if endpoint_id is None else "WHERE endpoint_id = :id"
    query = f"SELECT state, count(*) FROM deliveries {where} GROUP BY state"
    rows = await house.rows(query, **({"id": endpoint_id} if endpoint_id else {}))
    return {state: number for state, number in rows}


async def attempts(house: House, endpoint_id: str) -> Any:
    return await house.value(
        "SELECT sum(attempts) FROM deliveries WHERE endpoint_id = :id", id=endpoint_id
    )


async def settle(house: House, number: int) -> None:
    """The oldest of those in flight end well."""
    await house.execute(
        "UPDATE deliveries SET state = 'succeeded', settled_at = created_at WHERE id IN"
        " (SELECT id FROM deliveries WHERE state = 'claimed' ORDER BY id LIMIT :n)",
        n=number,
    )


async def fail_first(house: House, key: str, *, attempts: int = 1) -> None:
    """The first pending delivery of a key is being retried."""
    await house.execute(
        "UPDATE deliveries SET state = 'retrying', attempts = :attempts WHERE id ="
        " (SELECT min(id) FROM deliveries WHERE ordering_key = :key AND state = 'pending')",
        key=key,
        attempts=attempts,
    )
