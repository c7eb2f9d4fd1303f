"""What a POST to an endpoint needs: its URL, policy, live keys and headers, opened for use."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import nearest
from domain.delivery import EndpointPolicy, parse_schedule
from domain.limits import Rate
from domain.ordering import HeadOfLine, parse_head_of_line
from domain.signing import Secret, SignatureScheme, SigningKey
from runtime.vault import Vault
from storage import attempts
from storage.tables import EndpointSecret


@dataclass(frozen=True)
class Addressee:
    """An endpoint, ready to be sent to. Its repr shows no secret."""

    endpoint_id: str
    url: str
    health: str
    keys: tuple[SigningKey, ...]
    scheme: SignatureScheme
    headers: dict[str, str]
    deadline: timedelta
    policy: EndpointPolicy
    schedules: dict[str, tuple[timedelta, ...]]  # By pattern of event types.
    max_in_flight: int
    rate: Rate | None
    head_of_line: HeadOfLine
    opened_at_s: float  # On the clock that only goes forward.

    def policy_for(self, event_type: str) -> EndpointPolicy:
        """The schedule of the event type's own, if it has one."""
        pattern = nearest(self.schedules, event_type)
        if pattern is None:
            return self.policy
        return replace(self.policy, retry_schedule=self.schedules[pattern])

    def __repr__(self) -> str:
        return f"Addressee({self.endpoint_id})"


class AddressBook:
    """Opens endpoints. Opened secrets are remembered by row and key id, never by endpoint."""

    def __init__(self, vault: Vault, *, schedule: tuple[timedelta, ...]) -> None:
        self._vault = vault
        self._schedule = schedule
        self._opened: dict[bytes, Secret] = {}

    async def look_up(
        self, session: AsyncSession, endpoint_ids: Sequence[str]
    ) -> dict[str, Addressee]:
        rows = await attempts.load_addressees(session, endpoint_ids)
        return {endpoint_id: self._open(row) for endpoint_id, row in rows.items()}

    def _open(self, row: attempts.Addressee) -> Addressee:
        endpoint = row.endpoint
        schedule = self._schedule
        per_minute = endpoint.rate_limit_per_minute
        if endpoint.retry_schedule is not None:
            schedule = parse_schedule(endpoint.retry_schedule)
        return Addressee(
            endpoint_id=endpoint.id,
            url=endpoint.url,
            health=endpoint.health,
            keys=tuple(self._key(secret) for secret in row.secrets),
            scheme=SignatureScheme(endpoint.signature_style),
            headers=self._headers(endpoint.id, endpoint.headers_sealed),
            deadline=timedelta(milliseconds=endpoint.timeout_ms),
            policy=EndpointPolicy(
                schedule, frozenset(endpoint.permanent_codes), parked=endpoint.health == "parked"
            ),
            schedules={
                pattern: parse_schedule(text) for pattern, text in endpoint.retry_schedules.items()
            },
            max_in_flight=endpoint.max_in_flight,
            rate=Rate(per_minute) if per_minute else None,
            head_of_line=parse_head_of_line(endpoint.head_of_line),
            opened_at_s=time.monotonic(),
        )

    def _key(self, row: EndpointSecret) -> SigningKey:
        secret = self._opened.get(row.sealed)
        if secret is None:
            if len(self._opened) > OPENED_MAX:
                self._opened.clear()
            secret = Secret(self._vault.open(row.sealed, bound_to=row.id).decode())
            self._opened[row.sealed] = secret
        return SigningKey(secret, row.created_at, row.expires_at)

    def _headers(self, endpoint_id: str, sealed: bytes | None) -> dict[str, str]:
        if sealed is None:
            return {}
        headers: dict[str, str] = json.loads(self._vault.open(sealed, bound_to=endpoint_id))
        return headers


OPENED_MAX = 10_000
