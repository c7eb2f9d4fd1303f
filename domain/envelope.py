"""The envelope: the exact bytes in which an event goes over the wire.

They are made once, stored, and sent unchanged on every attempt. Receivers may check a signature
over `JSON.stringify(JSON.parse(body))`, so JavaScript must read and write them back unchanged.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from pydantic_core import to_json

from domain.catalogue.model import INTEGER_MAX, EventData, timestamp_text
from domain.errors import Refused

API_VERSION: Final = "2026-11"
PAYLOAD_BYTES_MAX: Final = 262_144


class PayloadTooLarge(Refused):
    code: ClassVar[str] = "payload_too_large"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"the event has {size_bytes} bytes, {PAYLOAD_BYTES_MAX} are allowed",
            size_bytes=size_bytes,
            size_bytes_max=PAYLOAD_BYTES_MAX,
        )


class EventExists(Refused):
    code: ClassVar[str] = "event_exists"

    def __init__(self, external_id: str, event_id: str) -> None:
        super().__init__(
            f"there is an event {external_id!r} that says something else: {event_id}",
            field="external_id",
            event_id=event_id,
        )


def carries(body: bytes, data: EventData) -> bool:
    """Whether these are the data of the event whose bytes these are."""
    return bool(json.loads(body)["data"] == json.loads(to_json(data)))


@dataclass(frozen=True)
class Envelope:
    """One event. `sequence` counts the events of its workflow, where it has one."""

    event_id: str
    event_type: str
    created_at: datetime
    sequence: int | None
    workflow_id: str | None
    data: EventData

    def __post_init__(self) -> None:
        if self.event_type != self.data.event_type:
            raise ValueError(f"{self.event_type} cannot carry the data of {self.data.event_type}")
        if self.created_at.tzinfo is None:
            raise ValueError("created_at has no time zone")
        if self.sequence is not None and abs(self.sequence) > INTEGER_MAX:
            raise ValueError(f"sequence {self.sequence} is not exact in JavaScript")

    def to_bytes(self) -> bytes:
        """Compact JSON in UTF-8. Raises PayloadTooLarge, or ValueError for a lone surrogate."""
        fields: dict[str, object] = {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "created_at": timestamp_text(self.created_at),
            "api_version": API_VERSION,
        }
        if self.sequence is not None:
            fields["sequence"] = self.sequence
        if self.workflow_id is not None:
            fields["workflow_id"] = self.workflow_id
        fields["data"] = self.data

        body = to_json(fields)
        if len(body) > PAYLOAD_BYTES_MAX:
            raise PayloadTooLarge(len(body))
        return body
