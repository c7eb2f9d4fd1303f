from dataclasses import replace
from datetime import UTC, datetime

from domain.saga import Nothing, SagaInfo, StepCall

SAGA = SagaInfo(
    workflow_id="transfer/1",
    run_id="run-1",
    type="transfer",
    tenant_id="ten_1",
    initiated_by="key_1",
    steps=("hold",),
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_the_key_of_an_effect_is_the_same_in_every_run_and_try() -> None:
    call = StepCall(SAGA, "hold", 1, SAGA.started_at, Nothing())
    after_a_reset = replace(call, saga=replace(SAGA, run_id="run-2"), begun_at=datetime.now(UTC))

    assert call.key == after_a_reset.key == "transfer/1/hold"


def test_the_keys_of_two_steps_differ() -> None:
    call = StepCall(SAGA, "hold", 1, SAGA.started_at, Nothing())

    assert call.key != replace(call, step="settle").key
