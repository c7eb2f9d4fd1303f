"""Database tables of who may do what, how often, and whether it was done before."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class Tenant(SQLModel, table=True):
    """A customer of this installation. Nothing of one tenant is visible to another."""

    __tablename__ = "tenants"

    id: str = Field(primary_key=True)
    name: str
    limit_per_minute: int | None = Field(default=None, description="None: what the settings say")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class ApiKey(SQLModel, table=True):
    """A bearer key. Only its digest is kept; `id` is the part that is not secret."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id", index=True)
    name: str
    prefix: str = Field(description="sp_live or sp_test")
    last4: str
    digest: bytes = Field(sa_type=LargeBinary, description="SHA-256 of the whole key")
    scopes: list[str] = Field(sa_type=JSON)
    allow_cidrs: list[str] = Field(default_factory=list, sa_type=JSON)
    limit_per_minute: int | None = Field(default=None, description="None: what the settings say")
    limit_per_hour: int | None = None
    is_root: bool = False
    replaces: str | None = None
    created_by: str | None = Field(default=None, description="the id of the key that made it")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class IdempotencyKey(SQLModel, table=True):
    """The answer to a POST, kept in the transaction of its effect."""

    __tablename__ = "idempotency_keys"

    tenant_id: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str = Field(description="SHA-256 of the canonical body")
    status_code: int | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    headers: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class QuotaUse(SQLModel, table=True):
    """How far a quota of a key or a tenant is used up. Shared by all processes of the API."""

    __tablename__ = "quota_uses"

    subject: str = Field(primary_key=True, description="{kind}:{id of the key or the tenant}")
    full_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when nothing of it is used any more"
    )
    warned_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AuthFailure(SQLModel, table=True):
    """Bad keys that came from one address lately, and until when nothing it sends is heard."""

    __tablename__ = "auth_failures"

    address: str = Field(primary_key=True)
    failures: int = 0
    since: datetime = Field(sa_type=UtcDateTime, description="when the counting began")
    locked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    key_id: str | None = Field(default=None, description="the last real key's id among them")


class KeyAddress(SQLModel, table=True):
    """Where a key was used from, since when; `refused` if the key does not allow that place."""

    __tablename__ = "key_addresses"

    key_id: str = Field(primary_key=True, foreign_key="api_keys.id")
    address: str = Field(primary_key=True, description="of version 6: the network of 64 bits")
    refused: bool
    first_seen: datetime = Field(sa_type=UtcDateTime)
