import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import EVENT_TYPES, TEST_EVENT, EventData, TransferCompleted
from domain.catalogue.model import INTEGER_MAX
from domain.envelope import PAYLOAD_BYTES_MAX, Envelope, PayloadTooLarge
from domain.errors import Refused

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
STRINGIFY_EACH_LINE = """
const lines = require("fs").readFileSync(0, "utf8").split("\\n");
process.stdout.write(lines.map((line) => JSON.stringify(JSON.parse(line))).join("\\n"));
"""
TRICKY_TEXTS = [
    '"\\/',
    "\b\t\n\f\r\0\x1f",
    "\x7f\x80\x85\xa0",
    "\u2028\u2029\ufeff",
    "é𝄞\U0010ffff",
]
TRICKY_KEYS = ["", "__proto__", "toString", "-1", "1.5", "01x", "1e3", "٣", " 7"]

texts = st.text() | st.sampled_from(TRICKY_TEXTS)
keys = st.text().filter(lambda key: not re.fullmatch(r"[0-9]+", key)) | st.sampled_from(TRICKY_KEYS)
integers = st.integers(-INTEGER_MAX, INTEGER_MAX)
json_values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
envelopes = st.builds(
    Envelope,
    event_id=texts,
    event_type=st.just(TEST_EVENT.event_type),
    created_at=st.datetimes(timezones=st.just(UTC)),
    sequence=st.none() | st.integers(1, INTEGER_MAX),
    workflow_id=st.none() | texts,
    data=st.builds(
        TEST_EVENT,
        webhook_id=texts,
        message=texts,
        metadata=st.dictionaries(keys, json_values, max_size=4),
    ),
)


def test_the_body_is_compact_json_in_a_fixed_order() -> None:
    data = TEST_EVENT(webhook_id="ep_1", message="Grüße", metadata={"z": 1, "a": [True, None]})

    assert (
        envelope(data).to_bytes()
        == (
            '{"event_id":"evt_1","event_type":"test.webhook","created_at":"2026-01-01T12:00:00Z",'
            '"api_version":"2026-11","sequence":7,"workflow_id":"w/1",'
            '"data":{"webhook_id":"ep_1","message":"Grüße","metadata":{"z":1,"a":[true,null]}}}'
        ).encode()
    )


def test_an_event_of_no_workflow_names_none() -> None:
    alone = replace(envelope(), sequence=None, workflow_id=None)

    assert b'"api_version":"2026-11","data":' in alone.to_bytes()


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES.keys())
def test_the_data_is_the_payload_in_the_order_of_its_fields(event: type[EventData]) -> None:
    body = envelope(event.example()).to_bytes()

    assert body.endswith(b'"data":' + event.example().model_dump_json().encode() + b"}")


@needs_node
@settings(max_examples=20, deadline=None)
@given(st.lists(envelopes, min_size=5, max_size=20))
def test_javascript_reads_and_writes_the_body_back_unchanged(drawn: list[Envelope]) -> None:
    bodies = [one.to_bytes() for one in drawn]

    assert through_javascript(bodies) == bodies


@needs_node
def test_javascript_reads_and_writes_every_example_back_unchanged() -> None:
    bodies = [envelope(event.example()).to_bytes() for event in EVENT_TYPES.values()]
    bodies += [envelope(carrying({key: text})).to_bytes() for key, text in tricky_pairs()]

    assert through_javascript(bodies) == bodies


@needs_node
def test_javascript_would_change_the_order_of_keys_and_the_look_of_floats() -> None:
    assert through_javascript([b'{"b":1.0,"7":2}']) == [b'{"7":2,"b":1}']


@pytest.mark.parametrize("metadata", [{"7": 1}, {"x": {"0": 1}}, {"x": 1.5}, {"x": 2**53}])
def test_what_javascript_would_change_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        carrying(metadata)


def test_a_sequence_that_javascript_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not exact in JavaScript"):
        replace(envelope(), sequence=2**53)


@pytest.mark.parametrize(
    "broken",
    [
        {"event_id": "\ud800"},
        {"workflow_id": "\udfff"},
        {"data": TEST_EVENT(webhook_id="ep_1", message="\ud83d\ude00")},
    ],
    ids=["event_id", "workflow_id", "data"],
)
def test_a_lone_surrogate_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        replace(envelope(carrying({})), **broken).to_bytes()


def test_a_body_of_exactly_the_allowed_size_is_sent_and_one_byte_more_is_refused() -> None:
    room = PAYLOAD_BYTES_MAX - len(envelope(padded(0)).to_bytes())

    assert len(envelope(padded(room)).to_bytes()) == PAYLOAD_BYTES_MAX
    with pytest.raises(PayloadTooLarge) as refused:
        envelope(padded(room + 1)).to_bytes()
    assert isinstance(refused.value, Refused)
    assert refused.value.reason_code == "payload_too_large"
    assert refused.value.details["size_bytes"] == PAYLOAD_BYTES_MAX + 1


def test_the_type_on_the_envelope_is_that_of_its_data() -> None:
    with pytest.raises(ValueError, match=r"transfer.failed cannot carry"):
        replace(envelope(), event_type="transfer.failed")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        replace(envelope(), created_at=datetime(2026, 1, 1))  # noqa: DTZ001


def envelope(data: EventData | None = None) -> Envelope:
    data = data or TransferCompleted.example()
    return Envelope(
        event_id="evt_1",
        event_type=data.event_type,
        created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        sequence=7,
        workflow_id="w/1",
        data=data,
    )


def carrying(metadata: dict[str, Any]) -> EventData:
    return TEST_EVENT(webhook_id="ep_1", message="", metadata=metadata)


def padded(size: int) -> EventData:
    return TEST_EVENT(webhook_id="ep_1", message="x" * size)


def tricky_pairs() -> list[tuple[str, str]]:
    return [(key, text) for key in TRICKY_KEYS for text in TRICKY_TEXTS]


def through_javascript(bodies: list[bytes]) -> list[bytes]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", STRINGIFY_EACH_LINE], input=b"\n".join(bodies), capture_output=True, check=True
    )
    return done.stdout.split(b"\n")
