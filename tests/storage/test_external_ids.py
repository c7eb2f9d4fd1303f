"""Events under their publishers' own ids, on both engines."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EventData, YieldHarvested
from domain.envelope import EventExists
from runtime.database import Database
from storage.external_ids import publish_once
from storage.retention import expunge
from storage.tables import Event
from storage.types import utc_now
from tests.conftest import TENANT
from tests.lifecycle import House

DATA = YieldHarvested.example()


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_published_twice_it_is_told_once(house: House) -> None:
    await house.endpoint()

    first, is_first_new = await publish(house, "invoice-7")
    again, is_again_new = await publish(house, "invoice-7")
    other, _ = await publish(house, "invoice-8")

    assert (is_first_new, is_again_new) == (True, False)
    assert first.id == again.id != other.id
    assert await house.value("SELECT count(*) FROM deliveries") == 2


async def test_of_many_who_publish_it_at_once_one_does(house: House) -> None:
    await house.endpoint()

    published = await asyncio.gather(*(publish(house, "invoice-7") for _ in range(8)))

    assert sum(is_new for _, is_new in published) == 1
    assert len({event.id for event, _ in published}) == 1
    assert await house.value("SELECT count(*) FROM deliveries") == 1


async def test_something_else_under_the_same_id_is_refused(house: House) -> None:
    event, _ = await publish(house, "invoice-7")

    with pytest.raises(EventExists, match=event.id):
        await publish(house, "invoice-7", DATA.model_copy(update={"protocol": "another"}))


async def test_an_id_is_its_tenants_own(house: House) -> None:
    await house.tenant("other")

    event, _ = await publish(house, "invoice-7")
    theirs, is_new = await publish(house, "invoice-7", tenant="other")

    assert is_new
    assert event.id != theirs.id


async def test_of_an_expunged_event_the_id_is_still_known(house: House) -> None:
    event, _ = await publish(house, "invoice-7")

    async def forget(session: AsyncSession) -> None:
        own = await session.get_one(Event, event.id)
        await expunge(session, own, actor="key_test", now=utc_now())

    await house.database.transact(forget)
    again, is_new = await publish(house, "invoice-7")

    assert (again.id, is_new) == (event.id, False)


async def publish(
    house: House, external_id: str, data: EventData = DATA, *, tenant: str = TENANT
) -> tuple[Event, bool]:
    return await house.database.transact(
        lambda session: publish_once(session, tenant, external_id, data, now=utc_now())
    )
