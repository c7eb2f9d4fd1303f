"""Who calls: a bearer key becomes a tenant and scopes, or the request ends here."""

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Forbidden, Unauthorized
from domain.api_keys import digest, key_id
from runtime.database import Database
from storage.keys import find_key, touch_key
from storage.tables import ApiKey
from storage.types import utc_now

# What anybody may see. Everything else needs a key, a route that is added later included.
PUBLIC: Final = frozenset(
    {
        "/",
        "/docs",
        "/openapi.json",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/webhooks/events",
    }
)
EVERYTHING: Final = "*"
USE_NOTED_EVERY: Final = timedelta(minutes=1)
NO_DIGEST: Final = bytes(32)

logger = logging.getLogger("sagapost.api")
bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`Authorization: Bearer sp_live_…`, as shown once when the key was made.",
)


@dataclass(frozen=True)
class Caller:
    """A key that was checked: whose it is, and what it may do."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]

    def may(self, *scopes: str) -> bool:
        """Whether any one of these scopes is the key's."""
        return bool(self.scopes.intersection((EVERYTHING, *scopes)))


class Authentication:
    """The middleware that knows the caller before the body is even read."""

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PUBLIC:
            request = Request(scope, receive)
            request.state.caller = await self._authenticate(request)
        await self._app(scope, receive, send)

    async def _authenticate(self, request: Request) -> Caller:
        key = _bearer_key(request)
        now = utc_now()
        row = await self._find(key)
        if row is None or not _is_live(row, now):
            raise Unauthorized("this API key is unknown, expired or revoked")
        if not _may_come_from(row, request.client.host if request.client else ""):
            raise Forbidden("this API key may not be used from your address")
        if row.last_used_at is None or now - row.last_used_at > USE_NOTED_EVERY:
            await self._database.transact(lambda session: touch_key(session, row.id, now=now))
        return Caller(row.tenant_id, row.id, frozenset(row.scopes))

    async def _find(self, key: str) -> ApiKey | None:
        id = key_id(key)
        if id is None:
            return None
        async with self._database.read() as session:
            row = await find_key(session, id)
        # Always one comparison, so that the time taken does not tell whether the id is known.
        same = hmac.compare_digest(digest(key), row.digest if row else NO_DIGEST)
        return row if same else None


class Allowed:
    """A dependency: the caller, if their key has one of these scopes."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    def __call__(self, request: Request, _: Annotated[object, Depends(bearer)]) -> Caller:
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            raise Unauthorized("send your API key: `Authorization: Bearer sp_live_…`")
        if not caller.may(*self.scopes):
            raise Forbidden(f"this API key lacks the scope {' or '.join(self.scopes)}")
        return caller


def _bearer_key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("send your API key: `Authorization: Bearer sp_live_…`")
    return key.strip()


def _is_live(row: ApiKey, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def _may_come_from(row: ApiKey, host: str) -> bool:
    if not row.allow_cidrs:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in ip_network(cidr) for cidr in row.allow_cidrs)
