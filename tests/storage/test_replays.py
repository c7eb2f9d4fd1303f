import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.replay import (
    InvalidReplay,
    NothingToReplay,
    ReplayFilter,
    ReplayStateConflict,
    ReplayUnderWay,
    WebhookDisabled,
)
from runtime.database import Database
from storage import replay_window, replays
from storage.lifecycle_tables import ReplayJob
from storage.replays import ReplayOrder
from storage.tables import Endpoint
from storage.types import utc_now
from tests.conftest import TENANT
from tests.lifecycle import BY, SOME_EVENT, House


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_a_dry_run_counts_what_would_be_sent_and_writes_nothing(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(30)
    await house.settle_all()
    await forget_deliveries(house, 5)
    await house.execute(
        "UPDATE deliveries SET state = 'dead_lettered'"
        " WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT 7)"
    )

    counted = await count(house, endpoint)

    assert (counted.total, counted.is_exact) == (30, True)
    assert counted.by_state == {"missing": 5, "dead_lettered": 7, "succeeded": 18}
    assert (await count(house, endpoint, states=("failed",))).by_state == {"dead_lettered": 7}
    assert (await count(house, endpoint, never_attempted=True)).by_state == {"missing": 5}
    assert (await count(house, endpoint, event_types=("transfer.*",))).total == 0
    assert await house.value("SELECT count(*) FROM replay_jobs") == 0


async def test_a_count_reads_payloads_where_there_is_a_payload_filter(house: House) -> None:
    endpoint = await house.endpoint(payload_filter={"data.position_id": {"$startsWith": "big"}})
    other = await house.endpoint(event_types=["account.*"])
    await house.publish(3, position_id="small-1")
    await house.publish(4, position_id="big-1")

    assert await house.value("SELECT count(*) FROM deliveries") == 4
    await house.settle_all()
    assert (await count(house, endpoint)).by_state == {"succeeded": 4}
    assert (await count(house, other)).total == 0


async def test_batches_put_in_line_what_was_counted_and_move_the_cursor(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(25)
    await house.settle_all()
    await forget_deliveries(house, 5)
    job = await house.replay(endpoint, per_second=10)

    for number in (1, 2, 3):
        job = await advance(house, job.id, number)
        await house.settle_all()

    assert (job.state, job.requeued, job.created, job.skipped) == ("completed", 20, 5, 0)
    assert job.total == job.requeued + job.created == job.examined
    assert await triggers(house) == {("replay", 1): 25}


async def test_a_batch_asked_for_twice_is_put_in_line_once(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(30)
    await house.settle_all()
    job = await house.replay(endpoint, per_second=10)

    asked = [advance(house, job.id, 1) for _ in range(5)]
    jobs = await asyncio.gather(*asked)

    assert {(one.batch, one.requeued) for one in jobs} == {(1, 10)}
    assert await house.value("SELECT count(*) FROM delivery_changes") == 10


async def test_what_is_under_way_is_left_to_arrive_by_itself(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(5)
    job_count = await count(house, endpoint)
    assert job_count.total == 0

    await house.settle_all()
    await house.publish(5)
    job = await advance(house, (await house.replay(endpoint)).id, 1)

    assert (job.requeued, job.skipped) == (5, 5)


async def test_a_test_event_and_what_another_tenant_said_are_never_replayed(house: House) -> None:
    endpoint = await house.endpoint()
    await house.tenant("ten_other")
    await house.endpoint(tenant_id="ten_other")
    await house.publish(3, tenant="ten_other")
    await house.publish(2)
    await house.execute(
        "INSERT INTO events (id, tenant_id, type, body, created_at)"
        " SELECT 'evt_zzz', tenant_id, 'test.webhook', body, created_at FROM events"
        " WHERE tenant_id = :tenant ORDER BY id LIMIT 1",
        tenant=TENANT,
    )
    await house.settle_all()

    job = await advance(house, (await house.replay(endpoint)).id, 1)

    assert (job.state, job.requeued, job.created) == ("completed", 2, 0)


async def test_a_replay_waits_while_its_endpoint_is_parked_and_says_so(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(5)
    await house.settle_all()
    job = await house.replay(endpoint)

    await house.execute("UPDATE endpoints SET health = 'parked'")
    waiting = await advance(house, job.id, 1)
    await house.execute("UPDATE endpoints SET health = 'healthy'")
    moved = await advance(house, job.id, 1)

    assert (waiting.reason, waiting.batch, waiting.requeued) == ("endpoint_parked", 0, 0)
    assert (moved.reason, moved.batch, moved.requeued) == (None, 1, 5)


async def test_a_replay_adds_only_to_a_short_line(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(100)
    await house.settle_all()
    job = await house.replay(endpoint, per_second=10)

    for number in range(1, 9):
        job = await advance(house, job.id, number)

    assert (job.reason, job.requeued) == ("line_is_long", 30)


@pytest.mark.parametrize("state", ["running", "paused"])
async def test_a_replay_to_a_deleted_webhook_ends(house: House, state: str) -> None:
    endpoint = await house.endpoint()
    await house.publish(5)
    await house.settle_all()
    job = await house.replay(endpoint)

    await house.execute("UPDATE replay_jobs SET state = :state", state=state)
    await house.execute("UPDATE endpoints SET deleted_at = created_at")
    job = await advance(house, job.id, 1)

    assert (job.state, job.reason, job.requeued) == ("cancelled", "webhook_deleted", 0)


async def test_a_long_stretch_with_nothing_to_replay_is_passed_over_in_bounded_pieces(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_window, "EXAMINED_MAX", 10)
    endpoint = await house.endpoint()
    await house.publish(35, "account.created")
    await house.publish(3)
    await house.settle_all()
    job = await house.replay(endpoint, event_types=(SOME_EVENT,))

    queued = [(await advance(house, job.id, number)).requeued for number in (1, 2, 3, 4)]

    assert queued == [0, 0, 0, 3]
    assert (await house.job(job.id)).state == "completed"


async def test_what_was_replayed_once_can_be_replayed_again(house: House) -> None:
    """A peer's defect: a resend that is blocked by an idempotency key."""
    endpoint = await house.endpoint()
    await house.publish(3)

    for _ in range(3):
        await house.settle_all()
        job = await advance(house, (await house.replay(endpoint)).id, 1)
        assert (job.state, job.requeued) == ("completed", 3)

    assert await house.value("SELECT count(*) FROM deliveries") == 3


async def test_an_expunged_event_is_left_out(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(2)
    await house.settle_all()
    await house.execute("UPDATE events SET body = NULL")

    assert (await count(house, endpoint)).total == 0


async def test_replaying_nothing_is_refused(house: House) -> None:
    endpoint = await house.endpoint()

    with pytest.raises(NothingToReplay):
        await house.replay(endpoint)


async def test_a_second_replay_of_the_same_webhook_is_refused_until_the_first_ended(
    house: House,
) -> None:
    endpoint, other = await house.endpoint(), await house.endpoint()
    await house.publish()
    await house.settle_all()
    first = await house.replay(endpoint)

    with pytest.raises(ReplayUnderWay) as refused:
        await house.replay(endpoint)

    assert refused.value.details["replay_id"] == first.id
    await house.replay(other)
    await house.act(replays.cancel, first.id)
    await house.replay(endpoint)


async def test_a_replay_to_a_disabled_webhook_or_at_no_pace_is_refused(house: House) -> None:
    disabled = await house.endpoint(health="disabled", disabled_at=utc_now())
    endpoint = await house.endpoint()
    await house.publish()
    await house.settle_all()

    with pytest.raises(WebhookDisabled):
        await house.replay(disabled)
    with pytest.raises(InvalidReplay):
        await house.replay(endpoint, per_second=0)


async def test_a_paused_job_moves_nothing_until_it_is_resumed(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(5)
    await house.settle_all()
    job = await house.replay(endpoint)

    await house.act(replays.pause, job.id)
    paused = await advance(house, job.id, 1)
    await house.act(replays.resume, job.id)
    resumed = await advance(house, job.id, 1)

    assert (paused.state, paused.requeued) == ("paused", 0)
    assert (resumed.state, resumed.requeued) == ("completed", 5)


async def test_nothing_is_put_in_line_after_a_cancel(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish(20)
    await house.settle_all()
    job = await house.replay(endpoint, per_second=5)

    await advance(house, job.id, 1)
    await house.act(replays.cancel, job.id)
    job = await advance(house, job.id, 2)

    assert (job.state, job.reason, job.requeued) == ("cancelled", "by_owner", 5)
    assert job.ended_at is not None


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("running", [replays.resume]),
        ("paused", [replays.pause]),
        ("completed", [replays.pause, replays.resume, replays.cancel]),
        ("cancelled", [replays.pause, replays.resume, replays.cancel]),
    ],
)
async def test_what_makes_no_sense_in_a_state_is_refused(
    house: House, state: str, refused: list[Any]
) -> None:
    endpoint = await house.endpoint()
    await house.publish()
    await house.settle_all()
    job = await house.replay(endpoint)
    await house.execute("UPDATE replay_jobs SET state = :state", state=state)

    for action in refused:
        with pytest.raises(ReplayStateConflict, match=f"is {state}: it cannot {action.__name__}"):
            await house.act(action, job.id)


async def test_another_tenants_job_is_not_there(house: House) -> None:
    endpoint = await house.endpoint()
    await house.publish()
    await house.settle_all()
    job = await house.replay(endpoint)

    async with house.database.read() as session:
        assert await replays.find_job(session, job.id, TENANT) is not None
        assert await replays.find_job(session, job.id, "ten_other") is None


async def count(house: House, endpoint: Endpoint, **filter: Any) -> replays.ReplayCount:
    wanted = ReplayFilter(utc_now() - timedelta(days=1), utc_now() + timedelta(seconds=1), **filter)
    async with house.database.read() as session:
        return await replays.count(session, endpoint, wanted)


async def advance(house: House, job_id: str, number: int) -> ReplayJob:
    async def work(session: AsyncSession) -> ReplayJob:
        job = await session.get_one(ReplayJob, job_id, with_for_update=True)
        await replays.advance(session, job, batch=number, now=utc_now())
        return job

    return await house.database.transact(work)


async def forget_deliveries(house: House, number: int) -> None:
    """As if the webhook had been made after these events."""
    chosen = f"(SELECT id FROM deliveries ORDER BY id LIMIT {number})"
    await house.execute(f"DELETE FROM attempts WHERE delivery_id IN {chosen}")
    await house.execute(f"DELETE FROM deliveries WHERE id IN {chosen}")


async def triggers(house: House) -> dict[tuple[str, int], int]:
    rows = await house.rows("SELECT trigger, priority, count(*) FROM deliveries GROUP BY 1, 2")
    return {(trigger, priority): number for trigger, priority, number in rows}


def test_an_order_is_by_somebody_at_a_moderate_pace() -> None:
    order = ReplayOrder(ReplayFilter(utc_now(), utc_now() + timedelta(hours=1)), BY)

    assert order.per_second == 50
