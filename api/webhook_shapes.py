"""What a webhook looks like: to make one, to change one, and as a caller sees it."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, JsonValue, model_validator

from api.errors import Invalid
from api.fields import Body, Metadata, Name
from api.shapes import Timestamp, View
from domain.catalogue import JsonObject, check_patterns
from domain.delivery import parse_schedule
from domain.headers import HEADERS_MAX, check_headers
from domain.ordering import check_key_path, parse_head_of_line
from domain.payload_filter import check_filter

REDACTED: Final = "********"
PATTERNS_MAX: Final = 100

Health = Literal["healthy", "failing", "parked", "recovering", "disabled"]


def _known_patterns(patterns: list[str]) -> list[str]:
    if problems := check_patterns(patterns):
        raise ValueError("; ".join(problems))
    return list(dict.fromkeys(patterns))


def _good_headers(headers: dict[str, str]) -> dict[str, str]:
    if problems := check_headers(headers):
        raise ValueError("; ".join(problems))
    return headers


def _good_schedule(schedule: str) -> str:
    parse_schedule(schedule)
    return schedule


def _known_types(schedules: dict[str, str]) -> dict[str, str]:
    _known_patterns(list(schedules))
    return schedules


def _good_filter(filter: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if problems := check_filter(filter):
        raise ValueError("; ".join(problems))
    return filter


def _good_head(head_of_line: str) -> str:
    parse_head_of_line(head_of_line)
    return head_of_line


def check_order(ordering: str, ordering_key: str | None) -> None:
    """Raises Invalid: of two settings that were good each, one may lack the other."""
    if ordering == "per_key" and ordering_key is None:
        text = 'with `per_key` say which: a path of the payload, like "data.account_uuid"'
        raise Invalid({"ordering_key": [text]})


Url = Annotated[str, Field(max_length=4096, examples=["https://example.com/hooks"])]
Patterns = Annotated[
    list[Annotated[str, Field(max_length=128)]],
    Field(
        min_length=1,
        max_length=PATTERNS_MAX,
        description='event types, like "transfer.completed", "transfer.*" or "*"',
        examples=[["*"]],
    ),
    AfterValidator(_known_patterns),
]
Headers = Annotated[
    dict[str, str],
    Field(description=f"sent with every event, at most {HEADERS_MAX}; shown redacted"),
    AfterValidator(_good_headers),
]
Schedule = Annotated[
    str,
    Field(max_length=256, description="delays before further attempts", examples=["5s,5m,2h"]),
    AfterValidator(_good_schedule),
]
Schedules = Annotated[
    dict[Annotated[str, Field(max_length=128)], Schedule],
    Field(
        max_length=PATTERNS_MAX,
        description="schedules of their own for some event types; the nearest pattern decides",
        examples=[{"transfer.*": "5s,30s,2m", "yield.harvested": ""}],
    ),
    AfterValidator(_known_types),
]
Filter = Annotated[
    dict[str, JsonValue],
    Field(
        description="which events of these types, by what is in them",
        examples=[{"data.asset_code": "USD", "data.amount": {"$gte": "100.00"}}],
    ),
    AfterValidator(_good_filter),
]
KeyPath = Annotated[
    str,
    Field(max_length=512, description="a path of the payload", examples=["data.account_uuid"]),
    AfterValidator(check_key_path),
]
HeadOfLine = Annotated[
    str,
    Field(
        max_length=16,
        description="what a failed one does to those behind it: block, skip_after:N, park_key",
    ),
    AfterValidator(_good_head),
]
Active = Annotated[bool, Field(validation_alias=AliasChoices("is_active", "active"))]
HttpCode = Annotated[int, Field(ge=400, le=599)]


class WebhookOptions(Body):
    """What may be set when a webhook is made, and changed later."""

    name: Name | None = None
    description: Annotated[str | None, Field(max_length=1024)] = None
    headers: Headers = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)
    timeout_ms: Annotated[int, Field(ge=1_000, le=30_000)] = 15_000
    retry_schedule: Schedule | None = None
    retry_schedules: Schedules = Field(default_factory=dict)
    permanent_codes: Annotated[
        list[HttpCode], Field(max_length=100, description="answers that are not tried again")
    ] = Field(default_factory=list)
    rate_limit_per_minute: Annotated[int | None, Field(ge=1, le=100_000)] = None
    max_in_flight: Annotated[int, Field(ge=1, le=1_000)] = 50
    filter: Filter | None = None
    ordering: Annotated[
        Literal["none", "strict", "per_key"],
        Field(description="`strict`: one after another; `per_key`: so for each `ordering_key`"),
    ] = "none"
    ordering_key: KeyPath | None = None
    head_of_line: HeadOfLine = "block"
    signature_style: Annotated[
        Literal["timestamped", "body_hex"],
        Field(description="what X-FinAegis-Signature signs; webhook-signature is always sent"),
    ] = "timestamped"
    is_active: Active = True

    def columns(self) -> dict[str, Any]:
        """The columns of what was given, but those that need more than a copy."""
        given = self.model_dump(exclude_unset=True)
        if "metadata" in given:
            given["endpoint_metadata"] = given.pop("metadata")
        if "events" in given:
            given["event_types"] = given.pop("events")
        if "filter" in given:
            given["payload_filter"] = given.pop("filter")
        for name in ("headers", "is_active", "secret"):
            given.pop(name, None)
        return given


class WebhookCreate(WebhookOptions):
    """A webhook to make. Without a `secret` one is made, and shown once."""

    url: Url
    events: Patterns
    secret: Annotated[
        str | None,
        Field(max_length=256, description="your own: `whsec_` and base64, or 24 to 64 characters"),
    ] = None


class WebhookUpdate(WebhookOptions):
    """What to change; what is left out stays as it is. A redacted header value stays, too."""

    url: Url | None = None
    events: Patterns | None = None

    @model_validator(mode="after")
    def _not_nothing(self) -> Self:
        for name in ("url", "events"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} may be left out, but not null")
        return self


class Statistics(View):
    """How the latest deliveries fare."""

    window: str
    deliveries: int
    succeeded: int
    failed: int
    pending: int
    success_rate: str | None


class WebhookView(View):
    """A webhook. `id` is `uuid` and `is_active` is `active`: clients read either."""

    id: str
    uuid: str
    name: str | None
    url: str
    description: str | None
    events: list[str]
    headers: dict[str, str]
    is_active: bool
    active: bool
    health: Health
    failing_since: Timestamp | None
    disabled_at: Timestamp | None
    disabled_reason: str | None
    metadata: JsonObject
    timeout_ms: int
    retry_schedule: str | None
    retry_schedules: dict[str, str]
    permanent_codes: list[int]
    rate_limit_per_minute: int | None
    max_in_flight: int
    filter: JsonObject | None
    ordering: str
    ordering_key: str | None
    head_of_line: str
    signature_style: str
    created_at: Timestamp
    updated_at: Timestamp
    last_triggered_at: Timestamp | None
    statistics: Statistics


class WebhookCreated(WebhookView):
    """A webhook that was just made. The secret is not shown again."""

    secret: str
