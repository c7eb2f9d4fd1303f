"""Partners: apply, see how far the onboarding is, and fetch the first keys once it is done."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared, Wait
from api.errors import Conflict, Forbidden, NotFound
from api.fields import Body, Id
from api.once import OnceOnly, Reply
from api.orders import request_of, saga_named
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.starting import Order, Starting, business_id
from domain.api_keys import LIVE, TEST, new_key
from domain.partner import TIERS, DocumentKind, Module, Tier
from domain.partner_onboarding import PartnerOnboardingRequest, scopes_for
from domain.sandbox import Faults
from runtime.links import public_url
from storage.keys import NewKey, make_key
from storage.listing import find_own
from storage.partner_tables import Partner, PartnerKeyGrant
from storage.partners import (
    PARTNER_ORDER,
    PARTNERS,
    lock_active,
    lock_grants,
    modules_of,
    partner_row,
    partners_of,
    tier_of,
)
from storage.tables import SagaRun

router = APIRouter(prefix="/partners", tags=["partners"])
Reader = Annotated[Caller, Depends(Allowed("read", "partners.read", "partners.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "partners.manage"))]
KeyGiver = Annotated[Caller, Depends(Allowed("partners.manage"))]
Status = Literal["applied", "onboarding", "active", "rejected", "deactivated"]
SAGA = "partner_onboarding"


class DocumentShown(Body):
    """A document that you have seen: its kind, and the SHA-256 of its file."""

    kind: DocumentKind
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["2c26b46b68ffc68f" * 4])]


class Technical(Body):
    """What the partner says of its side."""

    verifies_signatures: bool = True
    is_idempotent: bool = True
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 30


class PartnerApply(Body):
    """A company that wants to build on the bank. `sandbox`: how `kyc` and `sanctions` behave."""

    id: Id
    organization_name: Annotated[
        str, Field(min_length=1, max_length=200, examples=["Example Fintech Ltd"])
    ]
    tier: Tier = "starter"
    documents: Annotated[list[DocumentShown], Field(max_length=20)] = Field(default_factory=list)
    modules: Annotated[list[Module], Field(max_length=20)] = Field(default_factory=list)
    webhook_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]{1,1000}$")] | None = None
    technical: Technical = Field(default_factory=Technical)
    approve_within_s: Annotated[int, Field(ge=1, le=1_209_600)] = 1_209_600
    sandbox: dict[str, Faults] = Field(default_factory=dict)


class PartnerView(View):
    """A partner, and how far its onboarding is. `failure` says why it was rejected."""

    id: str
    application_id: str
    organization_name: str
    tier: Tier
    status: Status
    modules_enabled: list[Module]
    rate_limits: dict[str, int]
    sandbox_url: str
    onboarding_checklist: dict[str, bool]
    webhook_id: str | None
    sdk_generation_id: str | None
    approved_by: str | None
    failure: dict[str, JsonValue] | None
    workflow_id: str
    workflow_url: str
    applied_at: Timestamp
    onboarding_completed_at: Timestamp | None


class PartnerKey(View):
    """A key that was just made. Its text is not shown again: we keep only its digest."""

    mode: Literal["live", "test"]
    id: str
    tenant_id: str
    scopes: list[str]
    key: str


class PartnerKeys(View):
    """A partner's first keys: for its own tenant, and for its sandbox."""

    partner_id: str
    keys: list[PartnerKey]


@router.post("", status_code=202, responses={201: {"model": Data[PartnerView]}})
async def create_partner(
    body: PartnerApply, caller: Writer, shared: Shared, starting: Starting, wait: Wait
) -> Data[PartnerView]:
    """Start a partner's onboarding.

    It waits for a person: `POST /v2/workflows/partner_onboarding/{id}/approve`.
    """

    async def render(session: AsyncSession, run: SagaRun) -> Data[PartnerView]:
        row = await session.get_one(Partner, f"prt_{business_id(run)}")
        return Data(data=partner_view(row, shared))

    return await starting.start(_onboarding(body), Data[PartnerView], render, wait=wait)


@router.get("")
async def list_partners(
    caller: Reader,
    session: Session,
    shared: Shared,
    pages: Pages,
    status: Annotated[Status | None, Query()] = None,
) -> Page[PartnerView]:
    """List partners, the newest first."""
    query = partners_of(caller.tenant_id)
    if status is not None:
        query = query.where(PARTNERS.c.status == status)
    listed = await pages.find(session, query, PARTNER_ORDER)
    return pages.show(listed, lambda row: partner_view(row, shared))


@router.get("/{partner_id}")
async def get_partner(
    partner_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[PartnerView]:
    """Get one partner."""
    row = await find_own(session, Partner, partner_id, caller.tenant_id)
    if row is None:
        raise NotFound("partner", partner_id)
    return Data(data=partner_view(row, shared))


@router.post("/{partner_id}/keys", status_code=201)
async def create_partner_keys(
    partner_id: str, caller: KeyGiver, once: OnceOnly
) -> Data[PartnerKeys]:
    """Make a partner's first keys. They are in this answer and nowhere else.

    409 if they were made before: the partner rotates them itself. 422 until it is active.
    """

    async def work(session: AsyncSession) -> Reply[Data[PartnerKeys]]:
        row = await find_own(session, Partner, partner_id, caller.tenant_id)
        if row is None:
            raise NotFound("partner", partner_id)
        await lock_active(session, caller.tenant_id, partner_id)
        made = [
            await _make(session, row, grant, caller)
            for grant in await lock_grants(session, partner_id)
        ]
        return Reply(Data(data=PartnerKeys(partner_id=partner_id, keys=made)), 201)

    return await once.reply(Data[PartnerKeys], work)


async def _make(
    session: AsyncSession, partner: Partner, grant: PartnerKeyGrant, caller: Caller
) -> PartnerKey:
    if grant.state != "open":
        raise Conflict(f"the {grant.mode} key of {partner.id} was made before: rotate it")
    terms, scopes = TIERS[tier_of(partner)], scopes_for(modules_of(partner))
    if lacking := [scope for scope in scopes if not caller.may(scope)]:
        raise Forbidden(f"this API key lacks {', '.join(lacking)}, so it cannot grant it")
    key = new_key(LIVE if grant.mode == "live" else TEST)
    wanted = NewKey(
        tenant_id=grant.tenant_id,
        name=f"First {grant.mode} key",
        scopes=scopes,
        limit_per_minute=terms.requests_per_minute,
        limit_per_hour=terms.requests_per_hour,
        created_by=caller.key_id,
    )
    row = await make_key(session, key, wanted)
    grant.state, grant.key_id = "used", row.id
    return PartnerKey.model_validate(
        {"mode": grant.mode, "key": key, **row.model_dump(include={"id", "tenant_id", "scopes"})}
    )


def _onboarding(body: PartnerApply) -> Order:
    given = body.model_dump(mode="json", exclude_unset=True) | {"id": body.id}
    request = request_of(saga_named(SAGA), given)
    assert isinstance(request, PartnerOnboardingRequest)
    workflow_id = f"{SAGA}/{request.id}"
    return Order(
        saga_type=SAGA,
        request=request,
        summary=f"onboard {request.organization_name}",
        location=f"/v2/partners/{request.partner_id}",
        row=lambda tenant_id: partner_row(request, tenant_id=tenant_id, workflow_id=workflow_id),
    )


def partner_view(row: Partner, shared: Services) -> PartnerView:
    return PartnerView.model_validate(
        row.model_dump()
        | {
            "modules_enabled": modules_of(row),
            "rate_limits": TIERS[tier_of(row)].rate_limits,
            "sandbox_url": public_url(shared.settings, "/v2"),
            "onboarding_checklist": row.checklist,
            "sdk_generation_id": row.generation_id,
            "workflow_url": shared.run_url(row.workflow_id),
            "onboarding_completed_at": row.onboarded_at,
        }
    )
