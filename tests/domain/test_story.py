from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import EventData
from domain.envelope import Envelope
from domain.saga import (
    NOTHING_TO_UNDO,
    Compensation,
    Failure,
    Nothing,
    SagaEnd,
    SagaInfo,
    SagaState,
    StepCall,
    Undone,
    UndoStatus,
)
from domain.story import ended, error_details, started, step_completed

BEGUN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DONE = BEGUN + timedelta(seconds=1.5)
SAGA = SagaInfo(
    workflow_id="transfer/t1",
    run_id="run",
    type="transfer",
    tenant_id="ten",
    initiated_by="key_1",
    steps=("open", "hold", "settle"),
    started_at=BEGUN,
    deadline_at=BEGUN + timedelta(seconds=60),
    subject_type="transfer",
    subject_id="t1",
)
FAILURE = Failure(
    "hold",
    "insufficient_funds",
    "too little",
    {"asset_code": "USD", "required_minor": 5_000, "available_minor": 1_234, "why": "limit"},
)
GIVEN_BACK = Compensation("hold", "release", Undone(UndoStatus.EXECUTED, 500, "USD"), 1, DONE)
NOTHING_DONE = Compensation("open", "fail", NOTHING_TO_UNDO, 1, DONE)
GIVEN_UP = Compensation("hold", "release", Undone(UndoStatus.SKIPPED), 3, DONE, "a person did it")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
details = st.dictionaries(
    st.text() | st.sampled_from(["asset_code", "required_minor", "available_minor"]),
    anything | st.sampled_from(["USD", 5, "XXX"]),
    max_size=5,
)


def test_a_saga_begins_with_what_it_plans() -> None:
    told = shown(started(SAGA))

    assert told["workflow_id"] == "transfer/t1"
    assert told["subject"] == {"type": "transfer", "id": "t1"}
    assert told["steps_planned"] == ["open", "hold", "settle"]
    assert told["deadline_at"] == "2026-01-01T12:01:00Z"


def test_a_saga_about_nothing_in_particular_names_no_subject() -> None:
    assert shown(started(replace(SAGA, subject_type=None)))["subject"] is None


def test_a_step_tells_its_place_its_time_and_its_result() -> None:
    call = StepCall(SAGA, "hold", 2, BEGUN, Nothing(), compensatable=True)

    told = shown(step_completed(call, {"held": 5}, attempt=3, completed_at=DONE))

    assert told["step"]["index"] == 2
    assert told["step"]["total"] == 3
    assert told["step"]["attempt"] == 3
    assert told["step"]["duration_ms"] == 1_500
    assert told["result"] == {"held": 5}
    assert told["compensatable"] is True


@pytest.mark.parametrize(
    ("result", "told"), [(None, {}), ("SBX-1", {"value": "SBX-1"}), ({"a": 1}, {"a": 1})]
)
def test_a_result_is_told_as_an_object(result: Any, told: dict[str, Any]) -> None:
    call = StepCall(SAGA, "hold", 2, BEGUN, Nothing())

    assert shown(step_completed(call, result, attempt=1, completed_at=DONE))["result"] == told


def test_a_step_never_took_less_than_no_time() -> None:
    """Two machines, two clocks."""
    call = StepCall(SAGA, "hold", 2, DONE, Nothing())

    told = shown(step_completed(call, None, attempt=1, completed_at=BEGUN))

    assert told["step"]["duration_ms"] == 0


def test_a_saga_that_completed_tells_just_that() -> None:
    [told] = ended(SagaEnd(SAGA, SagaState.COMPLETED, DONE, ("open",), {"transfer_uuid": "t1"}))

    assert told.event_type == "workflow.completed"
    assert shown(told)["duration_ms"] == 1_500
    assert shown(told)["result"] == {"transfer_uuid": "t1"}


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (SagaState.FAILED, "workflow.failed"),
        (SagaState.CANCELLED, "workflow.failed"),
        (SagaState.TIMED_OUT, "workflow.timeout"),
    ],
)
def test_a_saga_that_turned_back_tells_what_was_undone_and_then_how_it_ended(
    state: SagaState, last: str
) -> None:
    story = ended(failed(GIVEN_BACK, NOTHING_DONE, state=state))

    assert [event.event_type for event in story] == ["workflow.compensation_executed", last]
    assert shown(story[-1])["compensation_triggered"] is True


def test_what_was_undone_is_told_with_its_amounts_and_what_was_not_with_its_outcome() -> None:
    told = shown(ended(failed(GIVEN_BACK, NOTHING_DONE))[0])

    assert [one["status"] for one in told["compensations"]] == ["executed", "noop"]
    assert told["compensation_actions"] == [
        {
            "action": "release",
            "status": "completed",
            "amount_reversed": "5.00",
            "amount_reversed_minor": 500,
            "asset_code": "USD",
        }
    ]
    assert told["fully_compensated"] is True
    assert told["manual_intervention_required"] is False


def test_what_a_person_answered_for_is_told_as_skipped() -> None:
    told = shown(ended(failed(GIVEN_UP))[0])

    assert told["compensations"][0]["status"] == "skipped"
    assert told["compensations"][0]["error"] == "a person did it"
    assert told["fully_compensated"] is False
    assert told["manual_intervention_required"] is True


@pytest.mark.parametrize("compensations", [(), (NOTHING_DONE,)])
def test_where_nothing_was_undone_no_undoing_is_told(
    compensations: tuple[Compensation, ...],
) -> None:
    [told] = ended(failed(*compensations))

    assert told.event_type == "workflow.failed"
    assert shown(told)["compensation_triggered"] is False


def test_a_failure_for_want_of_money_tells_how_much() -> None:
    told = error_details(FAILURE).model_dump(mode="json")

    assert told == {
        "code": "INSUFFICIENT_FUNDS",
        "message": "too little",
        "asset_code": "USD",
        "required_amount": "50.00",
        "required_amount_minor": 5_000,
        "available_amount": "12.34",
        "available_amount_minor": 1_234,
        "details": {"why": "limit"},
    }


@given(
    code=st.text(),
    text=st.text(st.characters()),
    details=details,
    state=st.sampled_from([SagaState.FAILED, SagaState.CANCELLED, SagaState.TIMED_OUT]),
)
def test_the_end_of_a_saga_can_be_told_whatever_made_it_fail(
    code: str, text: str, details: dict[str, Any], state: SagaState
) -> None:
    """Else it would never end: it would try to tell of its end for ever."""
    failure = Failure("hold", code, text, details)
    given_up = replace(GIVEN_UP, error=text)

    for data in ended(replace(failed(given_up, state=state), failure=failure)):
        Envelope("evt_1", data.event_type, DONE, 1, SAGA.workflow_id, data).to_bytes()


def test_details_that_are_too_long_to_send_are_left_out() -> None:
    told = error_details(replace(FAILURE, text="x" * 10**6, details={"trace": "y" * 10**6}))

    assert told.details == {"omitted": "1000013 characters of details"}
    assert len(told.message) == 2_000


def failed(*compensations: Compensation, state: SagaState = SagaState.FAILED) -> SagaEnd:
    return SagaEnd(SAGA, state, DONE, ("open",), {}, FAILURE, compensations)


def shown(data: EventData) -> dict[str, Any]:
    return data.model_dump(mode="json")
