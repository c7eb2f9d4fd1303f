import asyncio
import json
from collections import Counter
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.steps import Steps, Unit
from domain.errors import (
    ConnectorRefused,
    DuplicateRequest,
    InsufficientFunds,
    StepFenced,
    Unavailable,
)
from domain.saga import NOTHING_TO_UNDO, SagaState, StepCall, Undone, UndoStatus
from runtime.database import Database
from storage import saga_log
from storage.audit import check_books
from storage.tables import Endpoint, Tenant
from tests.activities import acts
from tests.activities.acts import call, fetch, hold, pay, release, story, undoing
from tests.conftest import TENANT
from tests.storage.books import balance, open_account

HELD = [
    "workflow.started",
    "account.balance_updated",
    "workflow.step_completed",
]


@pytest_asyncio.fixture
async def bank(database: Database) -> Database:
    """Two customers, and a webhook that wants everything."""

    async def subscribe(session: AsyncSession) -> None:
        session.add(Tenant(id="ten_other", name="other"))
        session.add(Endpoint(id="ep", tenant_id=TENANT, url="https://x.test", event_types=["*"]))

    await database.transact(subscribe)
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    return database


async def test_a_step_commits_its_effect_its_events_and_their_deliveries(bank: Database) -> None:
    result = await Steps(bank).perform(call("w"), hold)

    assert result == {"held": "w/hold"}
    assert await balance(bank, "a") == (1_000, 10)
    assert await story(bank, "w") == HELD
    assert await deliveries(bank) == HELD
    await assert_sound(bank)


async def test_performing_a_step_again_returns_what_it_returned_and_does_nothing(
    bank: Database,
) -> None:
    steps = Steps(bank)
    first = await steps.perform(call("w"), hold)

    second = await steps.perform(call("w"), hold)

    assert second == first
    assert await balance(bank, "a") == (1_000, 10)
    assert await story(bank, "w") == HELD
    assert await deliveries(bank) == HELD


async def test_what_a_step_returned_is_remembered_as_it_goes_over_the_wire(
    bank: Database,
) -> None:
    async def quote(unit: Unit, call: StepCall[acts.Payment]) -> Quote:
        return Quote(5)

    first = await Steps(bank).perform(call("w"), quote)
    second = await Steps(bank).perform(call("w"), quote)

    assert to_jsonable_python(first) == to_jsonable_python(second) == {"fee_minor": 5}
    [told] = await bodies(bank, "workflow.step_completed")
    assert told["data"]["result"] == {"fee_minor": 5}


async def test_a_step_performed_many_times_at_once_is_performed_once(bank: Database) -> None:
    steps = Steps(bank)

    results = await asyncio.gather(*(steps.perform(call("w"), hold) for _ in range(50)))

    assert results == [{"held": "w/hold"}] * 50
    assert await balance(bank, "a") == (1_000, 10)
    assert await story(bank, "w") == HELD
    assert bank.units_run_again == Counter()
    await assert_sound(bank)


async def test_steps_of_one_saga_at_once_are_told_one_after_the_other(bank: Database) -> None:
    """Each waits for its turn; none is run again because another took its number."""

    async def nothing(unit: Unit, call: StepCall[acts.Payment]) -> None:
        return None

    steps = Steps(bank)

    await asyncio.gather(*(steps.perform(call("w", f"s{n}"), nothing) for n in range(30)))

    assert await story(bank, "w") == ["workflow.started", *["workflow.step_completed"] * 30]
    assert bank.units_run_again == Counter()
    await assert_sound(bank)


async def test_many_sagas_at_once_each_tell_their_own_story(bank: Database) -> None:
    await asyncio.gather(*(acts.run_whole(bank, f"w{number}") for number in range(20)))

    assert await balance(bank, "a") == (800, 0)
    assert await balance(bank, "b") == (200, 0)
    await assert_sound(bank)


async def test_a_crash_before_the_commit_leaves_nothing(bank: Database) -> None:
    async def crash(unit: Unit, call: StepCall[acts.Payment]) -> None:
        await hold(unit, call)
        raise RuntimeError("crash before commit")

    with pytest.raises(RuntimeError):
        await Steps(bank).perform(call("w"), crash)

    assert await balance(bank, "a") == (1_000, 0)
    assert await story(bank, "w") == []
    assert await deliveries(bank) == []
    assert await fetch(bank, "SELECT * FROM saga_runs") == []


async def test_a_step_that_was_refused_leaves_nothing_and_its_saga_begins_with_its_undoing(
    bank: Database,
) -> None:
    steps = Steps(bank)

    with pytest.raises(InsufficientFunds):
        await steps.perform(call("w", minor=1_001), hold)
    assert await story(bank, "w") == []
    undone = await steps.undo(undoing("w"), release)

    assert undone == NOTHING_TO_UNDO
    assert await story(bank, "w") == ["workflow.started"]
    await assert_sound(bank)


async def test_a_step_tells_which_try_it_was(bank: Database) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=3)

    await environment.run(Steps(bank).perform, call("w"), hold)

    [told] = await bodies(bank, "workflow.step_completed")
    assert told["data"]["step"]["attempt"] == 3


async def test_undoing_a_step_gives_back_what_it_took_once(bank: Database) -> None:
    steps = Steps(bank)
    await steps.perform(call("w"), hold)

    first = await steps.undo(undoing("w"), release)
    second = await steps.undo(undoing("w"), release)

    assert first == second == Undone(UndoStatus.EXECUTED, 10, "USD", attempts=1)
    assert await balance(bank, "a") == (1_000, 0)
    assert await story(bank, "w") == [*HELD, "account.balance_updated"]
    assert await state_of(bank, "w") == SagaState.COMPENSATING
    await assert_sound(bank)


async def test_undoing_what_was_never_done_leaves_a_fence_against_it(bank: Database) -> None:
    steps = Steps(bank)

    assert await steps.undo(undoing("w"), release) == NOTHING_TO_UNDO
    async with bank.read() as session:
        fence = await saga_log.find_step(session, "w", call("w").step)
    with pytest.raises(StepFenced):
        await steps.perform(call("w"), hold)

    assert fence is not None
    assert fence.state == "fenced"
    assert await balance(bank, "a") == (1_000, 0)
    assert await story(bank, "w") == ["workflow.started"]
    await assert_sound(bank)


async def test_an_action_that_comes_after_its_undoing_is_refused(bank: Database) -> None:
    steps = Steps(bank)
    await steps.perform(call("w"), hold)
    await steps.undo(undoing("w"), release)

    with pytest.raises(StepFenced):
        await steps.perform(call("w"), hold)

    assert await balance(bank, "a") == (1_000, 0)


async def test_an_action_and_its_undoing_at_once_end_with_nothing_held(bank: Database) -> None:
    steps = Steps(bank)

    outcomes = await asyncio.gather(
        *(steps.perform(call(f"w{number}"), hold) for number in range(20)),
        *(steps.undo(undoing(f"w{number}"), release) for number in range(20)),
        return_exceptions=True,
    )

    for outcome in outcomes:
        assert isinstance(outcome, dict | Undone | StepFenced)
    assert await balance(bank, "a") == (1_000, 0)
    await assert_sound(bank)


async def test_a_compensation_that_crashed_is_done_when_it_is_tried_again(bank: Database) -> None:
    async def crash(unit: Unit, call: StepCall[acts.Payment]) -> Undone:
        await release(unit, call)
        raise RuntimeError("crash before commit")

    steps = Steps(bank)
    await steps.perform(call("w"), hold)

    with pytest.raises(RuntimeError):
        await steps.undo(undoing("w"), crash)
    assert await balance(bank, "a") == (1_000, 10)
    await steps.undo(undoing("w"), release)

    assert await balance(bank, "a") == (1_000, 0)
    await assert_sound(bank)


async def test_nothing_is_done_for_a_saga_that_turned_back(bank: Database) -> None:
    steps = Steps(bank)
    await steps.perform(call("w"), hold)
    await steps.undo(undoing("w"), release)

    with pytest.raises(StepFenced):
        await steps.perform(call("w", "pay"), pay)

    assert await balance(bank, "b") == (0, 0)
    await assert_sound(bank)


async def test_nothing_is_done_for_a_saga_that_has_ended(bank: Database) -> None:
    steps = Steps(bank)
    await acts.run_whole(bank, "w")
    before = await story(bank, "w")

    with pytest.raises(StepFenced):
        await steps.perform(call("w", "late"), hold)

    assert await story(bank, "w") == before
    assert before[-1] == "workflow.completed"
    await assert_sound(bank)


async def test_what_was_done_is_still_answered_after_the_end(bank: Database) -> None:
    await acts.run_whole(bank, "w")

    assert await Steps(bank).perform(call("w"), hold) == {"held": "w/hold"}


async def test_what_has_told_its_completion_is_not_undone_any_more(bank: Database) -> None:
    """Its workflow may be run again after that, and be told of a cancel by then."""
    party = Party()
    await acts.run_whole(bank, "w")
    before = await story(bank, "w"), await balance(bank, "a"), await balance(bank, "b")

    here = await Steps(bank).undo(undoing("w"), release)
    there = await Steps(bank).undo_outside(undoing("w"), party.recall, nothing_here)

    assert here == there == NOTHING_TO_UNDO
    assert party.recalled == 0
    assert (await story(bank, "w"), await balance(bank, "a"), await balance(bank, "b")) == before
    assert await state_of(bank, "w") == SagaState.COMPLETED


async def test_a_saga_that_gives_up_before_its_first_step_has_still_told_its_beginning(
    bank: Database,
) -> None:
    with pytest.raises(StepFenced):
        await Steps(bank).perform(replace(call("w"), abandoned=True), hold)

    assert await story(bank, "w") == ["workflow.started"]
    await assert_sound(bank)


async def test_a_workflow_id_of_another_tenant_is_refused(bank: Database) -> None:
    steps = Steps(bank)
    await steps.perform(call("w"), hold)
    stranger = replace(call("w", "pay"), saga=replace(acts.saga("w"), tenant_id="ten_other"))

    with pytest.raises(DuplicateRequest):
        await steps.perform(stranger, pay)

    assert await steps.undo(replace(stranger, failure=acts.FAILURE), release) == NOTHING_TO_UNDO
    assert await balance(bank, "a") == (1_000, 10)
    assert await story(bank, "w") == HELD


async def test_an_endpoint_hears_only_of_its_own_tenant_and_of_what_it_asked_for(
    bank: Database,
) -> None:
    async def subscribe(session: AsyncSession) -> None:
        wants = {"ours": (TENANT, ["workflow.*"]), "theirs": ("ten_other", ["*"])}
        for endpoint_id, (tenant_id, event_types) in wants.items():
            session.add(
                Endpoint(
                    id=endpoint_id,
                    tenant_id=tenant_id,
                    url="https://x.test",
                    event_types=event_types,
                )
            )

    await bank.transact(subscribe)

    await Steps(bank).perform(call("w"), hold)

    assert await deliveries(bank, "ours") == ["workflow.started", "workflow.step_completed"]
    assert await deliveries(bank, "theirs") == []


async def test_an_outside_party_is_asked_before_the_commit_and_never_once_it_is_recorded(
    bank: Database,
) -> None:
    party = Party()
    steps = Steps(bank)

    first = await steps.perform_outside(call("w"), party.ask, remember)
    second = await steps.perform_outside(call("w"), party.ask, remember)

    assert first == second == "answer 1"
    assert party.asked == 1
    await assert_sound(bank)


async def test_an_outside_party_whose_answer_was_lost_is_asked_again(bank: Database) -> None:
    party = Party()

    async def crash(unit: Unit, call: StepCall[acts.Payment], answer: str) -> str:
        raise RuntimeError("crash before commit")

    steps = Steps(bank)
    with pytest.raises(RuntimeError):
        await steps.perform_outside(call("w"), party.ask, crash)

    assert await steps.perform_outside(call("w"), party.ask, remember) == "answer 2"
    assert await story(bank, "w") == ["workflow.started", "workflow.step_completed"]


@pytest.mark.parametrize(
    "failure", [Unavailable("rail_unavailable", "down"), ConnectorRefused("limit_exceeded", "no")]
)
async def test_an_outside_party_that_does_not_agree_leaves_nothing_here(
    bank: Database, failure: Exception
) -> None:
    with pytest.raises(type(failure)):
        await Steps(bank).perform_outside(call("w"), Party(failure).ask, remember)

    assert await story(bank, "w") == []


async def test_an_outside_party_is_not_asked_for_what_was_called_off(bank: Database) -> None:
    party = Party()
    steps = Steps(bank)
    await steps.undo_outside(undoing("w"), party.recall, nothing_here)

    with pytest.raises(StepFenced):
        await steps.perform_outside(call("w"), party.ask, remember)

    assert (party.asked, party.recalled) == (0, 1)


async def test_what_was_never_recorded_here_is_recalled_over_there(bank: Database) -> None:
    """The answer was lost: the party has done it, and nobody here knows."""
    party = Party()
    party.has_done_it = True

    undone = await Steps(bank).undo_outside(undoing("w"), party.recall, nothing_here)

    assert undone.status is UndoStatus.EXECUTED
    assert not party.has_done_it


async def test_an_answer_that_comes_after_the_recall_changes_nothing_here(bank: Database) -> None:
    party = Party()
    steps = Steps(bank)

    async def ask_slowly() -> str:
        answer = await party.ask()
        await steps.undo_outside(undoing("w"), party.recall, nothing_here)
        return answer

    with pytest.raises(StepFenced):
        await steps.perform_outside(call("w"), ask_slowly, remember)

    assert not party.has_done_it
    assert await story(bank, "w") == ["workflow.started"]
    await assert_sound(bank)


async def test_a_recall_that_fails_is_tried_again_before_anything_is_written(
    bank: Database,
) -> None:
    steps = Steps(bank)
    party = Party(Unavailable("rail_unavailable", "down"))

    with pytest.raises(Unavailable):
        await steps.undo_outside(undoing("w"), party.recall, nothing_here)
    party.failure = None
    undone = await steps.undo_outside(undoing("w"), party.recall, nothing_here)

    assert undone == NOTHING_TO_UNDO
    assert party.recalled == 1


async def test_no_transaction_is_open_while_an_outside_party_is_asked(bank: Database) -> None:
    """Else one slow party would stop every other saga: SQLite has one writer."""
    steps = Steps(bank)

    async def ask() -> str:
        async with asyncio.timeout(5):
            await steps.perform(call("other"), hold)
        return "answer"

    assert await steps.perform_outside(call("w"), ask, remember) == "answer"


@dataclass(frozen=True)
class Quote:
    fee_minor: int


class Party:
    """An outside party that remembers what it did."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked = 0
        self.recalled = 0
        self.has_done_it = False

    async def ask(self) -> str:
        if self.failure:
            raise self.failure
        self.asked += 1
        self.has_done_it = True
        return f"answer {self.asked}"

    async def recall(self) -> Undone:
        if self.failure:
            raise self.failure
        self.recalled += 1
        had_done_it, self.has_done_it = self.has_done_it, False
        return Undone(UndoStatus.EXECUTED) if had_done_it else NOTHING_TO_UNDO


async def remember(unit: Unit, call: StepCall[acts.Payment], answer: str) -> str:
    return answer


async def nothing_here(unit: Unit, call: StepCall[acts.Payment]) -> Undone:
    return NOTHING_TO_UNDO


async def deliveries(database: Database, endpoint_id: str = "ep") -> list[str]:
    query = "SELECT event_type FROM deliveries WHERE endpoint_id = :id ORDER BY id"
    return [row.event_type for row in await fetch(database, query, id=endpoint_id)]


async def bodies(database: Database, event_type: str) -> list[dict[str, dict[str, dict[str, int]]]]:
    query = "SELECT body FROM events WHERE type = :type ORDER BY id"
    return [json.loads(bytes(row.body)) for row in await fetch(database, query, type=event_type)]


async def state_of(database: Database, workflow_id: str) -> str:
    [row] = await fetch(
        database, "SELECT state FROM saga_runs WHERE workflow_id = :id", id=workflow_id
    )
    return str(row.state)


async def assert_sound(database: Database) -> None:
    async with database.read() as session:
        assert [str(found) for found in await check_books(session)] == []
