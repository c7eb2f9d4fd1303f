"""What a webhook looks like: to make one, to change one, and as a caller sees it."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from api.fields import Body, Metadata, Name
from api.shapes import Timestamp, View
from domain.catalogue import JsonObject, check_patterns
from domain.delivery import parse_schedule
from domain.headers import HEADERS_MAX, check_headers

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
    permanent_codes: Annotated[
        list[HttpCode], Field(max_length=100, description="answers that are not tried again")
    ] = Field(default_factory=list)
    rate_limit_per_minute: Annotated[int | None, Field(ge=1, le=100_000)] = None
    max_in_flight: Annotated[int, Field(ge=1, le=1_000)] = 50
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
    permanent_codes: list[int]
    rate_limit_per_minute: int | None
    max_in_flight: int
    signature_style: str
    created_at: Timestamp
    updated_at: Timestamp
    last_triggered_at: Timestamp | None
    statistics: Statistics


class WebhookCreated(WebhookView):
    """A webhook that was just made. The secret is not shown again."""

    secret: str
