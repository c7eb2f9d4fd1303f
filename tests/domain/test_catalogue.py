import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from domain.catalogue import (
    EVENT_TYPES,
    TEST_EVENT,
    EventData,
    Timestamp,
    TransferCompleted,
    WorkflowCompleted,
    categories,
    check_patterns,
    json_schema,
    matches,
    nearest,
    timestamp_text,
)

NAMES = {
    "account": "created updated balance_updated frozen unfrozen closed",
    "transfer": "created pending completed failed reversed expired",
    "workflow": "started step_completed completed failed timeout compensation_executed",
    "system": "maintenance_start maintenance_end rate_limit_warning api_key_expiring "
    "security_alert status_change",
    "cross_chain": "bridge.initiated bridge.completed bridge.failed swap.completed",
    "defi": "position.opened position.closed position.liquidation_warning yield.harvested",
    "regtech": "compliance.report.generated compliance.violation.detected "
    "travel_rule.check.completed",
    "mobile_payment": "payment_intent.created payment_intent.completed payment_intent.expired",
    "partner": "partner.onboarded sdk.generated widget.deployed",
}

# What receivers of the product's published examples read.
PUBLISHED_FIELDS = {
    "account.balance_updated": "account_uuid asset_code previous_balance new_balance "
    "change_amount change_reason related_transaction",
    "transfer.completed": "uuid from_account to_account amount asset_code status reference "
    "workflow_id fees fees.transfer_fee fees.currency completed_at",
    "workflow.completed": "uuid",
    "workflow.failed": "workflow_id workflow_type failed_step failure_reason error_details "
    "error_details.code error_details.message error_details.required_amount "
    "error_details.available_amount compensation_triggered",
    "workflow.compensation_executed": "workflow_id workflow_type failed_step failure_reason "
    "compensation_actions compensation_actions.action compensation_actions.status "
    "compensation_actions.amount_reversed compensation_actions.asset_code "
    "compensation_completed_at",
}

each_event = pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES.keys())


def test_there_are_41_event_types() -> None:
    assert len(EVENT_TYPES) == 41


def test_each_category_holds_the_types_that_are_documented_in_their_order() -> None:
    named = {c: [full_name(c, n) for n in names.split()] for c, names in NAMES.items()}

    found = {c: [event.event_type for event in events] for c, events in categories().items()}

    assert found == named
    assert list(EVENT_TYPES) == [name for names in named.values() for name in names]


@each_event
def test_a_payload_class_is_named_for_its_type(event: type[EventData]) -> None:
    words = re.split(r"[._]", event.event_type)

    assert event.__name__ == "".join(word.capitalize() for word in words)


@each_event
def test_a_description_says_when_the_event_is_sent(event: type[EventData]) -> None:
    assert re.fullmatch(r"Sent [^.]+\.", event.description)
    assert event.producer


@each_event
def test_every_payload_may_carry_metadata(event: type[EventData]) -> None:
    payload = {**wire(event.example()), "metadata": {"order": "A-1"}}

    assert wire(event.model_validate(payload))["metadata"] == {"order": "A-1"}


@each_event
def test_an_example_reads_back_as_itself(event: type[EventData]) -> None:
    example = event.example()

    assert event.model_validate_json(example.model_dump_json()) == example


@each_event
def test_an_example_obeys_its_schema(event: type[EventData]) -> None:
    schema = json_schema(event.event_type)

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(wire(event.example()))


@each_event
def test_a_schema_stands_alone_and_promises_every_field(event: type[EventData]) -> None:
    schema = json_schema(event.event_type)

    assert schema["title"] == event.event_type
    assert schema["description"] == event.description
    assert schema["required"] == list(schema["properties"]) == list(wire(event.example()))
    references = [value for key, value in pairs(schema) if key == "$ref"]
    assert all(ref.removeprefix("#/$defs/") in schema["$defs"] for ref in references)


@each_event
def test_no_schema_allows_a_float(event: type[EventData]) -> None:
    assert ("type", "number") not in list(pairs(json_schema(event.event_type)))


@each_event
def test_an_amount_in_minor_units_stands_after_the_same_amount_in_major_units(
    event: type[EventData],
) -> None:
    for record in objects(wire(event.example())):
        names = list(record)
        for place, name in enumerate(names):
            if name.endswith("_minor"):
                assert names[place - 1] == name.removesuffix("_minor")
                assert minor(record[names[place - 1]]) == record[name]


@each_event
def test_an_unknown_field_is_refused(event: type[EventData]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        event.model_validate({**wire(event.example()), "surprise": "!"})


@each_event
def test_no_example_shows_a_credential_or_a_person(event: type[EventData]) -> None:
    text = event.example().model_dump_json()

    assert not re.search(r"whsec_|sp_live_|sp_test_|Bearer|secret\"|password|@", text)


@pytest.mark.parametrize("event_type", PUBLISHED_FIELDS)
def test_the_published_fields_keep_their_names(event_type: str) -> None:
    example = EVENT_TYPES[event_type].example()

    assert set(PUBLISHED_FIELDS[event_type].split()) <= set(paths(wire(example)))


@pytest.mark.parametrize(
    "amount", ["", "5.", ".5", "05", "+5", "1e3", "1,000", "5 ", "5\n", "NaN", "٣", 5, 5.0]
)
def test_a_decimal_is_a_plain_decimal_string(amount: object) -> None:
    with pytest.raises(ValidationError):
        TransferCompleted.model_validate({**wire(TransferCompleted.example()), "amount": amount})


@pytest.mark.parametrize("amount_minor", [1.0, "1", True, 2**53, -(2**53)])
def test_an_integer_is_an_integer_that_javascript_can_hold(amount_minor: object) -> None:
    payload = {**wire(TransferCompleted.example()), "amount_minor": amount_minor}

    with pytest.raises(ValidationError):
        TransferCompleted.model_validate(payload)


@pytest.mark.parametrize(
    "result",
    [{"rate": 1.5}, {"rate": 1.0}, {"deep": [{"rate": 1.5}]}, {"big": 2**53}, {"7": "x"}, {1: 2}],
)
def test_free_fields_hold_nothing_that_javascript_would_change(result: object) -> None:
    with pytest.raises(ValidationError):
        WorkflowCompleted.model_validate({**wire(WorkflowCompleted.example()), "result": result})


def test_free_fields_hold_any_other_json() -> None:
    result = {"": None, "7a": [True, -1, "x", {"deep": []}], "-1": 2**53 - 1}
    payload = {**wire(WorkflowCompleted.example()), "result": result}

    assert wire(WorkflowCompleted.model_validate(payload))["result"] == result


def test_a_workflow_is_also_found_under_uuid() -> None:
    example = WorkflowCompleted.example()

    assert example.uuid == example.workflow_id


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, "2026-01-01T12:00:00Z"),
        (120_000, "2026-01-01T12:00:00.120Z"),
        (120_001, "2026-01-01T12:00:00.120001Z"),
    ],
)
def test_a_timestamp_has_the_fewest_of_0_3_or_6_fraction_digits(
    microsecond: int, text: str
) -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, microsecond, tzinfo=UTC)

    assert timestamp_text(moment) == text
    assert timestamp_text(moment.astimezone(timezone(timedelta(hours=2)))) == text


def test_a_timestamp_is_kept_in_utc_and_never_without_a_zone() -> None:
    timestamps = TypeAdapter[datetime](Timestamp)

    assert timestamps.validate_python("2026-01-01T14:00:00+02:00").tzinfo is UTC
    assert timestamps.dump_json(timestamps.validate_python("2026-01-01T14:00:00+02:00")) == (
        b'"2026-01-01T12:00:00Z"'
    )
    with pytest.raises(ValidationError):
        timestamps.validate_python("2026-01-01T14:00:00")


@pytest.mark.parametrize(
    ("pattern", "event_type", "answer"),
    [
        ("*", "transfer.completed", True),
        ("transfer.completed", "transfer.completed", True),
        ("transfer.completed", "transfer.failed", False),
        ("transfer.*", "transfer.failed", True),
        ("transfer.*", "account.created", False),
        ("compliance.*", "compliance.report.generated", True),
        ("compliance.report.*", "compliance.report.generated", True),
        ("compliance.report.*", "compliance.violation.detected", False),
        ("regtech.*", "travel_rule.check.completed", True),
        ("cross_chain.*", "bridge.failed", True),
        ("bridge.*", "swap.completed", False),
        ("transfer", "transfer.completed", False),
        ("tran*", "transfer.completed", False),
        ("", "transfer.completed", False),
        ("*", "test.webhook", False),
        ("test.webhook", "test.webhook", False),
    ],
)
def test_a_pattern_covers_a_name_a_prefix_a_category_or_everything(
    pattern: str, event_type: str, answer: bool
) -> None:
    assert matches([pattern], event_type) is answer


def test_one_matching_pattern_is_enough() -> None:
    assert matches(["account.*", "transfer.failed"], "transfer.failed")
    assert not matches([], "transfer.failed")


def test_good_patterns_give_no_complaint() -> None:
    assert check_patterns(["*", "account.*", "compliance.report.*", "defi.*", *EVENT_TYPES]) == []


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        (
            "transfer.complete",
            "unknown event type 'transfer.complete': did you mean 'transfer.completed'?",
        ),
        ("acount.*", "unknown event type 'acount.*': did you mean 'account.*'?"),
        ("invoice", "unknown event type 'invoice'"),
        ("", "unknown event type ''"),
    ],
)
def test_an_unknown_pattern_is_told_the_nearest_known_one(pattern: str, complaint: str) -> None:
    assert check_patterns(["*", pattern]) == [complaint]


def test_the_test_event_has_an_example_but_is_not_in_the_catalogue() -> None:
    assert TEST_EVENT.event_type == "test.webhook"
    assert wire(TEST_EVENT.example())["webhook_id"].startswith("ep_")
    assert TEST_EVENT.event_type not in EVENT_TYPES
    assert check_patterns([TEST_EVENT.event_type, "test.*"]) != []


def full_name(category: str, name: str) -> str:
    return name if "." in name or category == "partner" else f"{category}.{name}"


def wire(payload: EventData) -> dict[str, Any]:
    """The payload as a receiver sees it."""
    received: dict[str, Any] = json.loads(payload.model_dump_json())
    return received


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a value, the value itself first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from objects(inner)


def pairs(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for record in objects(schema):
        yield from ((key, value) for key, value in record.items() if isinstance(value, str))


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """`fees`, `fees.currency`: the name of every field. A list's items share its name."""
    if isinstance(value, list):
        for item in value:
            yield from paths(item, prefix)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield f"{prefix}{name}"
            yield from paths(inner, f"{prefix}{name}.")


def minor(decimal: str | None) -> int | None:
    return None if decimal is None else int(decimal.replace(".", ""))


@pytest.mark.parametrize(
    ("patterns", "event_type", "expected"),
    [
        (["*", "transfer.*", "transfer.completed"], "transfer.completed", "transfer.completed"),
        (["*", "transfer.*", "transfer.completed"], "transfer.created", "transfer.*"),
        (["*", "transfer.*"], "account.created", "*"),
        (["*", "defi.*", "yield.*"], "yield.harvested", "yield.*"),
        (["transfer.*"], "account.created", None),
        ([], "account.created", None),
    ],
)
def test_the_nearest_pattern_is_the_one_that_covers_the_fewest(
    patterns: list[str], event_type: str, expected: str | None
) -> None:
    assert nearest(patterns, event_type) == expected
