"""Partner onboarding: what a company shows and says of itself, and what that means. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from domain.api_keys import SCOPES
from domain.errors import MissingDocuments
from domain.partner import TIERS, DocumentKind, Module, PartnerId, Tier, check_modules
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults
from domain.sdk import LANGUAGES, PurgeSdkRequest, SdkGenerationRequest

APPROVE_WITHIN_S: Final = 14 * 86_400
# What a partner's key may do in each of its modules; expunging and operating are not among it.
RIGHTS: Final = ("read", "manage", "start")
ALWAYS: Final = ("partners.read", "keys.read", "keys.manage")


@dataclass(frozen=True)
class Document:
    """A document that was shown: its kind, and the SHA-256 of its file. Never the file."""

    kind: DocumentKind
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class TechnicalAnswers:
    """What a partner says of its side."""

    verifies_signatures: bool = True
    is_idempotent: bool = True
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 30


@dataclass(frozen=True, kw_only=True)
class PartnerOnboardingRequest(SagaRequest):
    """Take a company on board. A person approves it by the update `approve`.

    `webhook_url` has no query: it might hold a secret. `sandbox` tells the sandboxes `kyc` and
    `sanctions` how to behave.
    """

    organization_name: Annotated[str, Field(min_length=1, max_length=200)]
    tier: Tier = "starter"
    documents: Annotated[tuple[Document, ...], Field(max_length=20)] = ()
    modules: Annotated[tuple[Module, ...], Field(max_length=20)] = ()
    webhook_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]{1,1000}$")] | None = None
    technical: TechnicalAnswers = field(default_factory=TechnicalAnswers)
    approve_within_s: Annotated[int, Field(ge=1, le=APPROVE_WITHIN_S)] = APPROVE_WITHIN_S
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_modules(self.tier, self.modules)

    @property
    def partner_id(self) -> PartnerId:
        return f"prt_{self.id}"

    @property
    def application_id(self) -> str:
        return f"app_{self.id}"

    @property
    def has_sdk(self) -> bool:
        return bool(TIERS[self.tier].languages)

    @property
    def sdk(self) -> SdkGenerationRequest:
        return SdkGenerationRequest(
            id=f"{self.id}.sdk", partner_id=self.partner_id, languages=LANGUAGES
        )

    @property
    def sdk_purge(self) -> PurgeSdkRequest:
        return PurgeSdkRequest(id=f"{self.id}.purge", sdk_generation_id=self.sdk.generation_id)

    def faults(self, party: str) -> Faults:
        return self.sandbox.get(party, NO_FAULTS)


@dataclass(frozen=True)
class ApprovedApplication:
    """An application, and the key of the person who approved it."""

    application: PartnerOnboardingRequest
    approved_by: str


def check_documents(request: PartnerOnboardingRequest) -> None:
    """Raises MissingDocuments, naming what the tier requires and is not there."""
    shown = {document.kind for document in request.documents}
    missing = [kind for kind in TIERS[request.tier].documents if kind not in shown]
    if missing:
        raise MissingDocuments(request.tier, missing)


def shortcomings(request: PartnerOnboardingRequest) -> tuple[str, ...]:
    """What speaks against a partner's side of the technology; nothing if it will do."""
    answers = request.technical
    found = {
        "does_not_verify_signatures": not answers.verifies_signatures,
        "is_not_idempotent": not answers.is_idempotent,
        "asks_too_often": answers.requests_per_minute > TIERS[request.tier].requests_per_minute,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def scopes_for(modules: Collection[Module]) -> list[str]:
    """What the keys of a partner with these modules may do."""
    of_modules = [
        scope
        for scope in SCOPES
        if scope.partition(".")[0] in modules and scope.partition(".")[2] in RIGHTS
    ]
    return [*of_modules, *ALWAYS]
