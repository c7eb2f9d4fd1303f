"""What payloads are made of: their base class, and the words their fields are written in.

Programs in every language read and re-write payloads, so nothing in one may change on the way:
decimals are strings, integers are exact in JavaScript too, and there are no floats.
"""

from abc import abstractmethod
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictStr,
    WithJsonSchema,
)
from typing_extensions import TypeAliasType

INTEGER_MAX: Final = 2**53 - 1  # Beyond it, JavaScript's numbers skip integers.

DECIMAL_PATTERN: Final = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
TIMESTAMP_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3}|\.[0-9]{6})?Z$"
)


def timestamp_text(moment: datetime) -> str:
    """`2026-01-01T12:00:00Z`, with 0, 3 or 6 fraction digits: as few as lose nothing."""
    fraction = "seconds"
    if moment.microsecond:
        fraction = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(UTC).isoformat(timespec=fraction).removesuffix("+00:00") + "Z"


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


DecimalText = Annotated[str, Field(pattern=DECIMAL_PATTERN)]
Integer = Annotated[int, Field(strict=True, ge=-INTEGER_MAX, le=INTEGER_MAX)]
Count = Annotated[int, Field(strict=True, ge=0, le=INTEGER_MAX)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(timestamp_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIMESTAMP_PATTERN}),
]

# Codes are patterns, not closed lists: a new connector may fail for a reason of its own, and its
# failure must still be told.
ReasonCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
ErrorCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Severity = Literal["low", "medium", "high", "critical"]

# JavaScript moves keys that look like array indexes to the front, so a key is never digits alone.
JsonKey = Annotated[str, Field(pattern=r"^$|[^0-9]")]
Json = TypeAliasType("Json", "StrictStr | StrictBool | Integer | list[Json] | JsonObject | None")
JsonObject = TypeAliasType("JsonObject", dict[JsonKey, Json])


class Part(BaseModel):
    """An object inside a payload."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


class EventData(Part):
    """The payload of one event type: what the envelope carries as `data`."""

    event_type: ClassVar[str]
    category: ClassVar[str]
    description: ClassVar[str]
    producer: ClassVar[str]

    @classmethod
    @abstractmethod
    def example(cls) -> Self:
        """A payload as it might really be sent."""


class Subject(Part):
    """What an event is about, where that can be of several kinds."""

    type: str
    id: str


class ErrorDetails(Part):
    """Why something failed. The amounts are there when money was missing."""

    code: ErrorCode
    message: str
    asset_code: str | None = None
    required_amount: DecimalText | None = None
    required_amount_minor: Integer | None = None
    available_amount: DecimalText | None = None
    available_amount_minor: Integer | None = None
    details: JsonObject = Field(default_factory=dict)


class TestWebhook(EventData):
    event_type = "test.webhook"
    category = "test"
    description = "Sent to one webhook, when somebody asks for a test of it."
    producer = "POST /v2/webhooks/{id}/test"

    webhook_id: str
    message: str
    metadata: JsonObject = Field(default_factory=dict)

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "webhook_id": "ep_01kdw3v5h0m9s346q3d25vt4f5",
                "message": "If you can read this and its signature is right, all is well.",
            }
        )


TEST_EVENT: Final = TestWebhook
