"""Widgets: small scripts that a partner's page loads, built from a template and what the partner
chose. They hold no credentials: they talk to the partner's own server, which has the key."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from domain.partner import PartnerId, WidgetType
from domain.saga import SagaRequest

ORIGIN: Final = (
    r"^(https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|http://(localhost|127\.0\.0\.1))(:\d{1,5})?$"
)
Origin = Annotated[str, Field(pattern=ORIGIN, examples=["https://shop.example.com"])]
Environment = Literal["sandbox", "production"]

# Its first two parts are the template's; the third counts a partner's deployments.
TEMPLATE_VERSION: Final = "1.0"
PLACE_OF_SETTINGS: Final = "__SETTINGS__"

# What each kind asks the customer for; nothing where it only shows.
FIELDS: Final[dict[WidgetType, tuple[str, ...]]] = {
    "payment": ("amount", "asset_code", "reference"),
    "checkout": ("order_id", "amount", "asset_code"),
    "balance": (),
    "transfer": ("to_account", "amount", "asset_code", "reference"),
}


@dataclass(frozen=True, kw_only=True)
class WidgetDeploymentRequest(SagaRequest):
    """Build a widget and serve it to pages of `allowed_origins`.

    It sends what a customer enters to `submit_path` on the partner's own server. `accent` is the
    colour of its button.
    """

    partner_id: PartnerId
    widget_type: WidgetType
    allowed_origins: Annotated[tuple[Origin, ...], Field(min_length=1, max_length=20)]
    environment: Environment = "sandbox"
    accent: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] = "#0b6e4f"
    submit_path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9/_.-]{0,200}$")] = "/sagapost"

    def __post_init__(self) -> None:
        if self.environment == "production":
            for origin in self.allowed_origins:
                if not origin.startswith("https://"):
                    raise ValueError(f"in production every origin is https: {origin} is not")

    @property
    def deployment_id(self) -> str:
        return f"dep_{self.id}"


@dataclass(frozen=True)
class BuiltWidget:
    """A script as it is served. `integrity` is what a page pins it with (SRI)."""

    content: bytes
    integrity: str


def version_of(number: int) -> str:
    """The version of a partner's nth deployment of a widget."""
    return f"{TEMPLATE_VERSION}.{number}"


def build_widget(template: str, request: WidgetDeploymentRequest, version: str) -> BuiltWidget:
    """Fill the template in: the same request and version are the same bytes."""
    settings = {
        "tag": f"sagapost-{request.widget_type}",
        "version": version,
        "environment": request.environment,
        "partnerId": request.partner_id,
        "fields": FIELDS[request.widget_type],
        "submitPath": request.submit_path,
        "accent": request.accent,
    }
    content = template.replace(PLACE_OF_SETTINGS, _script_literal(settings)).encode()
    return BuiltWidget(content, integrity_of(content))


def integrity_of(content: bytes) -> str:
    """`sha384-…`, as the `integrity` attribute of a script has it."""
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


def _script_literal(settings: dict[str, Any]) -> str:
    """JSON that is safe inside a script, also where somebody puts the script into a page."""
    return json.dumps(settings, sort_keys=True).replace("<", "\\u003c")
