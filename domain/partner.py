"""Partners: companies that build on the bank, and what each tier of them may have."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.errors import TierNotAllowed

PartnerId = Annotated[
    str,
    Field(
        pattern=r"^prt_[A-Za-z0-9_.-]{1,64}$",
        examples=["prt_0199c5a2-0000-7000-8000-0000000000b1"],
    ),
]
Tier = Literal["starter", "growth", "enterprise"]
WidgetType = Literal["payment", "checkout", "balance", "transfer"]
Language = Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
# Parts of the API, by the tags of its routes.
Module = Literal[
    "accounts", "transactions", "transfers", "webhooks", "deliveries", "events", "workflows"
]
DocumentKind = Literal[
    "certificate_of_incorporation", "proof_of_address", "ownership_structure", "audited_accounts"
]


@dataclass(frozen=True)
class Terms:
    """What a tier may use, how often it may ask, and which documents it must show."""

    modules: tuple[Module, ...]
    requests_per_minute: int
    requests_per_hour: int
    documents: tuple[DocumentKind, ...]
    widgets: tuple[WidgetType, ...] = ()
    languages: tuple[Language, ...] = ()

    @property
    def rate_limits(self) -> dict[str, int]:
        return {
            "requests_per_minute": self.requests_per_minute,
            "requests_per_hour": self.requests_per_hour,
        }


TIERS: Final[dict[Tier, Terms]] = {
    "starter": Terms(
        modules=("accounts", "transfers", "webhooks"),
        requests_per_minute=60,
        requests_per_hour=1_000,
        documents=("certificate_of_incorporation",),
    ),
    "growth": Terms(
        modules=("accounts", "transactions", "transfers", "webhooks", "events"),
        requests_per_minute=300,
        requests_per_hour=10_000,
        documents=("certificate_of_incorporation", "proof_of_address"),
        widgets=("payment", "checkout"),
        languages=("python",),
    ),
    "enterprise": Terms(
        modules=(
            "accounts",
            "transactions",
            "transfers",
            "webhooks",
            "deliveries",
            "events",
            "workflows",
        ),
        requests_per_minute=1_000,
        requests_per_hour=60_000,
        documents=(
            "certificate_of_incorporation",
            "proof_of_address",
            "ownership_structure",
            "audited_accounts",
        ),
        widgets=("payment", "checkout", "balance", "transfer"),
        languages=("python",),
    ),
}


def check_widget(tier: Tier, widget_type: WidgetType) -> None:
    """Raises TierNotAllowed."""
    if widget_type not in TIERS[tier].widgets:
        raise TierNotAllowed(tier, f"the widget {widget_type}")


def check_modules(tier: Tier, modules: tuple[Module, ...]) -> None:
    """Raises TierNotAllowed for the first module that is not the tier's."""
    for module in modules:
        if module not in TIERS[tier].modules:
            raise TierNotAllowed(tier, f"the module {module}")


def check_languages(tier: Tier, languages: tuple[Language, ...]) -> None:
    """Raises TierNotAllowed for the first language that is not the tier's."""
    for language in languages:
        if language not in TIERS[tier].languages:
            raise TierNotAllowed(tier, f"a client package in {language}")
