"""Partner events: a partner came on board, got a client package, or a widget went live."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    EventData,
    JsonKey,
    JsonObject,
    Part,
    Sha256,
    Timestamp,
)


class PartnerEvent(EventData):
    category = "partner"


class PartnerOnboarded(PartnerEvent):
    event_type = "partner.onboarded"
    description = "Sent when a partner is approved and set up; credentials travel another way."
    producer = "PartnerOnboarding"

    partner_id: str
    organization_name: str
    status: str
    tier: Literal["starter", "growth", "enterprise"]
    modules_enabled: tuple[str, ...]
    rate_limits: dict[JsonKey, Count]
    sandbox_url: str
    onboarding_checklist: dict[JsonKey, bool]
    application_id: str
    metadata: JsonObject = Field(default_factory=dict)
    onboarding_completed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "partner_id": PARTNER,
                "organization_name": "Example Fintech Ltd",
                "status": "active",
                "tier": "growth",
                "modules_enabled": ["accounts", "transfers", "webhooks"],
                "rate_limits": {"requests_per_hour": 1000, "requests_per_minute": 100},
                "sandbox_url": "https://sandbox.example.com/v2",
                "onboarding_checklist": {
                    "documents": True,
                    "compliance": True,
                    "technical_assessment": True,
                    "approval": True,
                    "webhook": True,
                    "sdk": True,
                },
                "application_id": "app_01kdwb3s008vcd1gdjfmgt83px",
                "onboarding_completed_at": "2026-01-08T10:00:00Z",
            }
        )


class SdkPackage(Part):
    language: str
    version: str
    package_name: str
    download_url: str
    sha256: Sha256
    size_bytes: Count


class SdkGenerated(PartnerEvent):
    event_type = "sdk.generated"
    description = "Sent when client packages were built from the API and can be downloaded."
    producer = "SdkGeneration"

    generation_id: str
    partner_id: str
    api_version: str
    packages: tuple[SdkPackage, ...]
    modules: tuple[str, ...]
    metadata: JsonObject = Field(default_factory=dict)
    generated_at: Timestamp
    expires_at: Timestamp | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "generation_id": "gen_01kdwb7y00t891wb09b9y73my6",
                "partner_id": PARTNER,
                "api_version": "2026-11",
                "packages": [
                    {
                        "language": "python",
                        "version": "1.0.0",
                        "package_name": "sagapost-client",
                        "download_url": "https://api.example.com/v2/sdks/sagapost_client-1.0.0.whl",
                        "sha256": (
                            "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
                        ),
                        "size_bytes": 184320,
                    }
                ],
                "modules": ["accounts", "transfers", "webhooks"],
                "generated_at": "2026-01-08T09:59:30Z",
                "expires_at": "2026-04-08T09:59:30Z",
            }
        )


class WidgetDeployed(PartnerEvent):
    event_type = "widget.deployed"
    description = "Sent when a new version of a widget is built and served."
    producer = "WidgetDeployment"

    deployment_id: str
    partner_id: str
    widget_type: Literal["payment", "checkout", "balance", "transfer"]
    version: str
    environment: str
    allowed_origins: tuple[str, ...]
    script_url: str
    integrity: Annotated[str, Field(pattern=r"^sha(256|384|512)-[A-Za-z0-9+/]+={0,2}$")]
    metadata: JsonObject = Field(default_factory=dict)
    deployed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "deployment_id": "dep_01kdwbc5003fch26w14wmchwyf",
                "partner_id": PARTNER,
                "widget_type": "checkout",
                "version": "1.4.0",
                "environment": "production",
                "allowed_origins": ["https://shop.example.com"],
                "script_url": "https://api.example.com/widgets/checkout-1.4.0.js",
                "integrity": (
                    "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"
                ),
                "deployed_at": "2026-01-09T15:00:00Z",
            }
        )


PARTNER: Final = "prt_01kdwb1q00gcw8t7swm4fv4dk7"

EVENTS: Final[tuple[type[EventData], ...]] = (
    PartnerOnboarded,
    SdkGenerated,
    WidgetDeployed,
)
