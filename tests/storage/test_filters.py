import json

import pytest

from runtime.database import Database
from storage import filters
from storage.filters import Match, WhyNot
from storage.tables import Event
from storage.types import utc_now
from tests.lifecycle import SOME_EVENT, House


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_an_event_goes_to_those_whose_payload_filter_matches(house: House) -> None:
    everything = await house.endpoint()
    wanting = await house.endpoint(payload_filter={"data.position_id": "mine"})
    await house.endpoint(payload_filter={"data.position_id": {"$neq": "mine"}})

    await house.publish(position_id="mine")

    sent_to = {row[0] for row in await house.rows("SELECT endpoint_id FROM deliveries")}
    assert sent_to == {everything.id, wanting.id}


async def test_a_decimal_filter_compares_amounts_and_not_texts(house: House) -> None:
    large = await house.endpoint(payload_filter={"data.fee_amount": {"$gte": "1000"}})

    for amount in ("999.99", "1000.00", "5000.00"):
        await house.publish(fee_amount=amount)

    rows = await house.rows("SELECT e.body FROM deliveries d JOIN events e ON e.id = d.event_id")
    assert sorted(json.loads(body)["data"]["fee_amount"] for (body,) in rows) == [
        "1000.00",
        "5000.00",
    ]
    assert await house.value("SELECT DISTINCT endpoint_id FROM deliveries") == large.id


async def test_a_stored_filter_that_cannot_be_read_loses_nothing(house: House) -> None:
    await house.endpoint(payload_filter={"data.fee_amount": {"$removed": 1}})

    await house.publish()

    assert await house.value("SELECT count(*) FROM deliveries") == 1


async def test_why_an_endpoint_did_not_get_an_event_is_told(house: House) -> None:
    await house.endpoint()
    by_type = await house.endpoint(event_types=["account.*", "transfer.completed"])
    by_filter = await house.endpoint(
        payload_filter={"data.position_id": "other", "data.fee_amount": "1"}
    )
    await house.endpoint(event_types=["account.*"], deleted_at=utc_now())
    [event_id] = await house.publish(position_id="mine", fee_amount="1")
    later = await house.endpoint()

    matches = {match.endpoint_id: match for match in await unmatched(house, event_id)}

    assert matches.keys() == {by_type.id, by_filter.id, later.id}
    assert matches[by_type.id].reason is WhyNot.EVENT_TYPE
    assert f"not for {SOME_EVENT}" in matches[by_type.id].text
    assert matches[by_filter.id].reason is WhyNot.PAYLOAD_FILTER
    assert [clause.matched for clause in matches[by_filter.id].clauses] == [False, True]
    assert 'data.position_id is "mine"' in matches[by_filter.id].text
    assert matches[later.id].reason is WhyNot.CREATED_LATER


async def test_what_would_match_now_is_told_apart(house: House) -> None:
    endpoint = await house.endpoint(event_types=["account.*"])
    [event_id] = await house.publish()
    await house.execute("UPDATE endpoints SET event_types = :types", types='["*"]')

    [match] = await unmatched(house, event_id)

    assert (match.endpoint_id, match.matched, match.reason) == (endpoint.id, True, WhyNot.MATCHES)


async def test_a_disabled_endpoint_is_not_left_out_but_parked(house: House) -> None:
    await house.endpoint(health="disabled")
    [event_id] = await house.publish()

    assert await unmatched(house, event_id) == []
    assert await house.value("SELECT state FROM deliveries") == "parked"


async def test_of_an_expunged_event_nobody_can_tell(house: House) -> None:
    await house.endpoint(payload_filter={"data.position_id": "other"})
    [event_id] = await house.publish(position_id="mine")
    await house.execute("UPDATE events SET body = NULL")

    [match] = await unmatched(house, event_id)

    assert match.reason is WhyNot.EXPUNGED


async def unmatched(house: House, event_id: str) -> list[Match]:
    async with house.database.read() as session:
        return await filters.unmatched(session, await session.get_one(Event, event_id))
