"""Who calls: a bearer key becomes a tenant and scopes, or the request ends here."""

import hmac
import logging
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, NoReturn

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Forbidden, TooMany, Unauthorized
from domain.api_keys import ADMIN, EVERYTHING, digest, key_id
from domain.quota import Quota
from runtime.database import Database
from runtime.limiter import Limit
from runtime.settings import Settings
from storage.key_addresses import note_address
from storage.keys import KnownKey, find_known_key, is_live, touch_key
from storage.lockouts import LockoutRule, locked_until, note_failure
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
PUBLIC_FOLDERS: Final = ("/docs/", "/v2/widgets/")
USE_NOTED_EVERY: Final = timedelta(minutes=1)
NO_DIGEST: Final = bytes(32)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
# Whoever has shown a good key from an address is heard there although a neighbour is locked out.
GOOD_FOR_S: Final = 3_600.0
REMEMBERED_MAX: Final = 10_000

logger = logging.getLogger("sagapost.api")
bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`Authorization: Bearer sp_live_…`, as shown once when the key was made.",
)


@dataclass(frozen=True)
class Caller:
    """A key that was checked: whose it is, what it may do, and how often."""

    tenant_id: str
    key_id: str
    key_prefix: str
    scopes: frozenset[str]
    limits: tuple[Limit, ...] = ()

    def may(self, *scopes: str) -> bool:
        """Whether any one of these scopes is the key's."""
        wanted = set(scopes)
        if wanted - ADMIN:
            wanted.add(EVERYTHING)
        return bool(self.scopes & wanted)


class Authentication:
    """The middleware that knows the caller before the body is even read."""

    def __init__(self, app: ASGIApp, *, database: Database, settings: Settings) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._rule = LockoutRule(settings.auth_failures_max, settings.auth_lockout)
        # Until when a place is known, by address and digest of the key.
        self._good: dict[tuple[str, bytes], float] = {}
        self._refused: dict[tuple[str, bytes], float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_public(scope["path"]):
            request = Request(scope, receive)
            request.state.caller = await self._authenticate(request)
        await self._app(scope, receive, send)

    async def _authenticate(self, request: Request) -> Caller:
        key, address = _bearer_key(request), _address_of(request)
        now = utc_now()
        known = await self._find(key, address, now)
        if known is None:
            await self._refuse(key, address, now)
        row = known.row
        if not is_live(row, now):
            raise Unauthorized("this API key is expired or revoked")
        allowed = _may_come_from(row, address)
        await self._note_place(row, address, now, refused=not allowed)
        if not allowed:
            raise Forbidden("this API key may not be used from your address")
        if row.last_used_at is None or now - row.last_used_at > USE_NOTED_EVERY:
            await self._database.transact(lambda session: touch_key(session, row.id, now=now))
        return Caller(row.tenant_id, row.id, row.prefix, frozenset(row.scopes), self._limits(known))

    async def _find(self, key: str, address: str, now: datetime) -> KnownKey | None:
        """None if the key is nobody's. Raises TooMany where the address is locked out."""
        id, given = key_id(key), digest(key)
        async with self._database.read() as session:
            if time.monotonic() > self._good.get((address, given), 0.0):
                _check_not_locked(await locked_until(session, address, now=now), now)
            known = await find_known_key(session, id) if id is not None else None
        # Always one comparison, so that the time taken does not tell whether the id is known.
        same = hmac.compare_digest(given, known.row.digest if known else NO_DIGEST)
        return known if same else None

    async def _refuse(self, key: str, address: str, now: datetime) -> NoReturn:
        locked = await self._database.transact(
            lambda session: note_failure(session, address, key_id(key), self._rule, now=now)
        )
        _check_not_locked(locked, now)
        raise Unauthorized("this API key is unknown")

    async def _note_place(self, row: ApiKey, address: str, now: datetime, *, refused: bool) -> None:
        """The owner hears of a place that is new; the database, of each at most once an hour."""
        noted, place = self._refused if refused else self._good, (address, row.digest)
        known_until = noted.get(place, 0.0)
        if len(noted) > REMEMBERED_MAX:
            noted.clear()
        noted[place] = time.monotonic() + GOOD_FOR_S
        if time.monotonic() < known_until:
            return
        try:
            await self._database.transact(
                lambda session: note_address(session, row, address, refused=refused, now=now)
            )
        except BaseException:
            noted.pop(place, None)
            raise

    def _limits(self, known: KnownKey) -> tuple[Limit, ...]:
        row, settings = known.row, self._settings
        per_minute = row.limit_per_minute or settings.rate_limit_per_minute
        per_hour = row.limit_per_hour or settings.rate_limit_per_hour
        of_tenant = known.tenant_limit or settings.rate_limit_tenant
        return (
            Limit("key-minute", row.id, Quota(per_minute, MINUTE)),
            Limit("key-hour", row.id, Quota(per_hour, HOUR)),
            Limit("tenant-minute", row.tenant_id, Quota(of_tenant, MINUTE)),
        )


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


def is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)


def _bearer_key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("send your API key: `Authorization: Bearer sp_live_…`")
    return key.strip()


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _check_not_locked(until: datetime | None, now: datetime) -> None:
    if until is not None:
        seconds = max(1, math.ceil((until - now).total_seconds()))
        text = "too many wrong API keys came from your address: it is locked out for a while"
        raise TooMany(text, retry_after_s=seconds).under(429, "locked_out")


def _may_come_from(row: ApiKey, host: str) -> bool:
    if not row.allow_cidrs:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in ip_network(cidr) for cidr in row.allow_cidrs)
