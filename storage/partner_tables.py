"""The tables of partners, and of what is made for them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class Partner(SQLModel, table=True):
    """A company that builds on the bank, from its application on."""

    __tablename__ = "partners"
    __table_args__ = (
        CheckConstraint(
            "status IN ('applied','onboarding','active','rejected','deactivated')",
            "partner_status",
        ),
        CheckConstraint("tier IN ('starter','growth','enterprise')", "partner_tier"),
        Index("partners_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True, description="prt_…")
    tenant_id: str = Field(foreign_key="tenants.id", description="whose partner it is")
    application_id: str
    organization_name: str
    tier: str
    status: str = "applied"
    modules: list[str] = Field(default_factory=list, sa_type=JSON)
    checklist: dict[str, bool] = Field(default_factory=dict, sa_type=JSON)
    own_tenant_id: str | None = Field(default=None, description="where its own things are")
    sandbox_tenant_id: str | None = None
    webhook_id: str | None = None
    approved_by: str | None = Field(default=None, description="the key of who approved it")
    generation_id: str | None = None
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    applied_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    onboarded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PartnerKeyGrant(SQLModel, table=True):
    """Leave to make a partner's key of one mode, once, when somebody is there to see it.

    No key exists before that: there is no moment at which one would have to be kept.
    """

    __tablename__ = "partner_key_grants"
    __table_args__ = (
        CheckConstraint("mode IN ('live','test')", "grant_mode"),
        CheckConstraint("state IN ('open','used','revoked')", "grant_state"),
    )

    partner_id: str = Field(foreign_key="partners.id", primary_key=True)
    mode: str = Field(primary_key=True)
    tenant_id: str = Field(description="where the key will be good")
    state: str = "open"
    key_id: str | None = None


class WidgetDeployment(SQLModel, table=True):
    """One version of a partner's widget. The newest that is live is the current one.

    A number is used once: pages keep what they loaded from a version's URL for ever.
    """

    __tablename__ = "widget_deployments"
    __table_args__ = (
        CheckConstraint("state IN ('built','live','withdrawn')", "widget_state"),
        UniqueConstraint("partner_id", "environment", "widget_type", "number"),
        Index("widget_deployments_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True, description="dep_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    partner_id: str = Field(foreign_key="partners.id")
    widget_type: str
    environment: str
    number: int
    version: str
    state: str = "built"
    allowed_origins: list[str] = Field(sa_type=JSON)
    content: bytes | None = Field(sa_type=LargeBinary, description="None once withdrawn")
    integrity: str
    workflow_id: str
    built_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    deployed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Artifact(SQLModel, table=True):
    """The bytes of something that was built. The same bytes are kept once."""

    __tablename__ = "artifacts"

    sha256: str = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class SdkPackage(SQLModel, table=True):
    """A client package of one generation, in one language."""

    __tablename__ = "sdk_packages"
    __table_args__ = (Index("sdk_packages_of_artifact", "sha256"),)

    generation_id: str = Field(primary_key=True)
    language: str = Field(primary_key=True)
    file: str
    sha256: str = Field(foreign_key="artifacts.sha256")
    size_bytes: int


class SdkGeneration(SQLModel, table=True):
    """A generation that was published, until it expires or is purged."""

    __tablename__ = "sdk_generations"
    __table_args__ = (Index("sdk_generations_of_tenant", "tenant_id", "id"),)

    id: str = Field(primary_key=True, description="gen_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    partner_id: str = Field(foreign_key="partners.id")
    api_version: str
    modules: list[str] = Field(sa_type=JSON)
    workflow_id: str
    generated_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    purged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
