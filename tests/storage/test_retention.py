from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.api_keys import new_key
from runtime.database import Database
from storage import retention
from storage.access_tables import AuthFailure, KeyAddress
from storage.keys import add_key
from storage.retention import PrunedEvents
from storage.tables import Event
from storage.types import utc_now
from tests.conftest import TENANT
from tests.lifecycle import House

SOON = timedelta(seconds=5)
UNSETTLED = ("pending", "claimed", "retrying", "parked")


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_an_old_event_goes_with_its_deliveries_attempts_and_changes(house: House) -> None:
    await house.endpoint()
    await house.endpoint()
    await house.publish(10)
    await house.settle_all()
    await house.execute(
        "INSERT INTO delivery_changes (id, delivery_id, from_state, to_state, reason, actor, at)"
        " SELECT id, id, 'pending', 'parked', 'x', 'system', created_at FROM deliveries"
    )

    pruned = await prune(house)

    assert (pruned.events, pruned.deliveries, pruned.attempts) == (10, 20, 20)
    for table in ("events", "deliveries", "attempts", "delivery_changes"):
        assert await house.value(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("state", UNSETTLED)
async def test_an_unsettled_delivery_is_never_pruned_nor_is_its_event(
    house: House, state: str
) -> None:
    await house.endpoint()
    await house.endpoint()
    await house.publish(3)
    await house.settle_all()
    await house.execute(
        "UPDATE deliveries SET state = :state, settled_at = NULL"
        " WHERE id = (SELECT min(id) FROM deliveries)",
        state=state,
    )

    pruned = await prune(house)

    assert pruned.events == 2
    assert await house.value("SELECT count(*) FROM events") == 1
    assert await house.value("SELECT count(*) FROM deliveries") == 2
    assert await house.value("SELECT count(*) FROM attempts") == 2


async def test_a_delivery_that_was_settled_lately_keeps_its_old_event(house: House) -> None:
    await house.endpoint()
    await house.publish(2)
    await house.settle_all()
    await house.execute(
        "UPDATE deliveries SET settled_at = '2999-01-01 00:00:00'"
        " WHERE id = (SELECT min(id) FROM deliveries)"
    )

    assert (await prune(house)).events == 1


async def test_what_is_younger_than_the_retention_stays(house: House) -> None:
    await house.endpoint()
    await house.publish(3)
    await house.settle_all()

    pruned = await house.database.transact(
        lambda session: retention.prune_events(session, before=utc_now() - SOON)
    )

    assert pruned == PrunedEvents(0, 0, 0, None)


async def test_batches_are_small_and_pass_over_what_must_stay(house: House) -> None:
    await house.endpoint()
    await house.publish(10)
    await house.execute("UPDATE deliveries SET state = 'succeeded', settled_at = created_at")
    await house.execute(
        "UPDATE deliveries SET state = 'parked', settled_at = NULL"
        " WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT 4)"
    )

    sizes: list[int] = []
    after: str | None = ""
    while after is not None:
        batch = await prune(house, after=after, most=3)
        sizes.append(batch.events)
        after = batch.after

    assert sizes == [0, 2, 3, 1]


async def test_an_event_that_nobody_wanted_goes_too(house: House) -> None:
    await house.publish(3)

    assert (await prune(house)).events == 3


async def test_expired_idempotency_keys_go_in_batches(house: House) -> None:
    now = utc_now()
    for number in range(5):
        await house.execute(
            "INSERT INTO idempotency_keys"
            " (tenant_id, route, key, fingerprint, headers, created_at, expires_at)"
            " SELECT id, 'POST /x', :key, '', '{}', created_at, created_at FROM tenants"
            " WHERE id = :tenant",
            key=f"key {number}",
            tenant=TENANT,
        )

    async def once() -> int:
        return await house.database.transact(
            lambda session: retention.prune_answers(session, before=now + SOON, most=3)
        )

    assert [await once(), await once(), await once()] == [3, 2, 0]


async def test_bad_keys_and_places_of_long_ago_are_forgotten(house: House) -> None:
    key, now = new_key(), utc_now()
    ages = {"a": timedelta(hours=1), "b": timedelta(days=2), "c": timedelta(days=100)}

    async def work(session: AsyncSession) -> None:
        row = await add_key(session, key, tenant_id=TENANT, name="x", scopes=["read"])
        await session.flush()
        for address, age in ages.items():
            session.add(AuthFailure(address=address, since=now - age))
            session.add(
                KeyAddress(key_id=row.id, address=address, refused=False, first_seen=now - age)
            )

    await house.database.transact(work)
    deleted = await house.database.transact(
        lambda session: retention.prune_access(session, before=now)
    )

    assert deleted == 3
    assert [row.address for row in await house.rows("SELECT address FROM auth_failures")] == ["a"]
    places = await house.rows("SELECT address FROM key_addresses ORDER BY address")
    assert [row.address for row in places] == ["a", "b"]


async def test_an_expunged_event_keeps_its_story_but_no_payload(house: House) -> None:
    await house.endpoint()
    [event_id] = await house.publish()
    await house.settle_all()
    await house.execute("UPDATE attempts SET response_body = 'you sent: secret'")

    assert await expunge(house, event_id) == 0

    assert await house.value("SELECT body FROM events") is None
    assert bytes(await house.value("SELECT response_body FROM attempts")) == b""
    assert await house.value("SELECT state FROM deliveries") == "succeeded"


@pytest.mark.parametrize("state", UNSETTLED)
async def test_expunging_cancels_what_was_still_to_be_sent_and_says_why(
    house: House, state: str
) -> None:
    await house.endpoint()
    [event_id] = await house.publish()
    await house.execute("UPDATE deliveries SET state = :state", state=state)

    assert await expunge(house, event_id) == 1
    assert await expunge(house, event_id) == 0

    [delivery] = await house.rows("SELECT state, reason, settled_at FROM deliveries")
    assert (delivery.state, delivery.reason) == ("cancelled", "expunged")
    assert delivery.settled_at is not None
    [change] = await house.rows("SELECT from_state, to_state, actor FROM delivery_changes")
    assert tuple(change) == (state, "cancelled", "somebody")


async def prune(house: House, *, after: str = "", most: int = 200) -> PrunedEvents:
    before = utc_now() + SOON
    return await house.database.transact(
        lambda session: retention.prune_events(session, before=before, after=after, most=most)
    )


async def expunge(house: House, event_id: str) -> int:
    async def work(session: AsyncSession) -> int:
        event = await session.get_one(Event, event_id)
        return await retention.expunge(session, event, actor="somebody", now=utc_now())

    return await house.database.transact(work)
