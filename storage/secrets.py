"""Signing secrets of endpoints: made, rotated, rolled back, ended; each change with its audit.

Rows only: sealing and opening is runtime/safe.py, so no text of a secret comes through here. A key
signs by its row's `expires_at` at the time of each attempt; no workflow has to be in time for that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import SystemStatusChange, timestamp_text
from domain.ids import new_id
from domain.rotation import (
    OVERLAP,
    KeyLife,
    KeyPairExists,
    Kind,
    NoKeyPair,
    NoRotation,
    RotationState,
    RotationUnderWay,
    plan_rotation,
)
from storage.lifecycle_tables import SecretChange, SecretRotation
from storage.outbox import publish
from storage.tables import Endpoint, EndpointSecret

SECRETS: Any = EndpointSecret.__table__  # type: ignore[attr-defined]
ROTATIONS: Any = SecretRotation.__table__  # type: ignore[attr-defined]
SECRET_CHANGES: Any = SecretChange.__table__  # type: ignore[attr-defined]
ROTATION_ORDER = (ROTATIONS.c.id,)
SYSTEM = "system"


@dataclass(frozen=True)
class RotationOrder:
    """What somebody asks for: a new secret, sealed, of the kind whose old ones it follows."""

    secret: EndpointSecret
    started_by: str
    overlap: timedelta = OVERLAP


async def secrets_of(session: AsyncSession, endpoint_id: str) -> Sequence[EndpointSecret]:
    """All of them, the newest first, also those that no longer sign."""
    query = select(EndpointSecret).where(SECRETS.c.endpoint_id == endpoint_id)
    return (await session.scalars(query.order_by(SECRETS.c.id.desc()))).all()


def rotations_of(endpoint_id: str) -> Select[SecretRotation]:
    return select(SecretRotation).where(ROTATIONS.c.endpoint_id == endpoint_id)


async def find_rotation(
    session: AsyncSession, endpoint_id: str, rotation_id: str
) -> SecretRotation | None:
    query = rotations_of(endpoint_id).where(ROTATIONS.c.id == rotation_id)
    found: SecretRotation | None = await session.scalar(query)
    return found


async def open_rotation(session: AsyncSession, endpoint_id: str) -> SecretRotation | None:
    """The rotation that is under way, or whose end nobody has written yet."""
    query = rotations_of(endpoint_id).where(ROTATIONS.c.state == RotationState.OVERLAPPING)
    found: SecretRotation | None = await session.scalar(query)
    return found


async def secret_changes_of(session: AsyncSession, endpoint_id: str) -> Sequence[SecretChange]:
    """The audit, the oldest first."""
    query = select(SecretChange).where(SECRET_CHANGES.c.endpoint_id == endpoint_id)
    return (await session.scalars(query.order_by(SECRET_CHANGES.c.id))).all()


async def rotate(
    session: AsyncSession,
    endpoint: Endpoint,
    order: RotationOrder,
    *,
    now: datetime,
) -> SecretRotation:
    """Let the new secret sign from now on, and the old ones of its kind until the overlap ends.

    Raises RotationUnderWay, InvalidOverlap, TooManySecrets, NoKeyPair.
    """
    await lock_endpoint(session, endpoint.id)
    await _clear_the_way(session, endpoint, now)
    keys = [_life(row) for row in await secrets_of(session, endpoint.id)]
    secret = order.secret
    kind: Kind = "v1a" if secret.kind == "v1a" else "v1"
    plan = plan_rotation(keys, kind=kind, overlap=order.overlap, now=now)
    secret.created_at = now
    session.add(secret)
    await session.flush()
    await _expire(session, plan.expiring, at=plan.ends_at)
    rotation = SecretRotation(
        id=new_id("rot"),
        tenant_id=endpoint.tenant_id,
        endpoint_id=endpoint.id,
        kind=kind,
        new_secret_id=secret.id,
        old_secret_ids=list(plan.expiring),
        started_by=order.started_by,
        started_at=now,
        ends_at=plan.ends_at,
    )
    session.add(rotation)
    await session.flush()
    audit = Audit(session, endpoint, kind, order.started_by, now)
    await audit.tell("created", [secret.id], rotation=rotation.id)
    await audit.tell("expires", plan.expiring, expires_at=plan.ends_at.isoformat())
    return rotation


async def roll_back(
    session: AsyncSession, endpoint: Endpoint, *, actor: str, now: datetime
) -> SecretRotation:
    """The new secret stops to sign at once, and the old ones live on. Raises NoRotation."""
    await lock_endpoint(session, endpoint.id)
    rotation = await open_rotation(session, endpoint.id)
    if rotation is None or rotation.ends_at <= now:
        raise NoRotation
    await _expire(session, [rotation.new_secret_id], at=now)
    await _expire(session, rotation.old_secret_ids, at=None)
    rotation.state, rotation.ended_at = RotationState.ROLLED_BACK, now
    await session.flush()
    audit = Audit(session, endpoint, rotation.kind, actor, now)
    await audit.tell("rolled_back", [rotation.new_secret_id], rotation=rotation.id)
    await audit.tell("revived", rotation.old_secret_ids, rotation=rotation.id)
    return rotation


async def end_rotation(
    session: AsyncSession, endpoint: Endpoint, rotation: SecretRotation, *, now: datetime
) -> None:
    """Write that the overlap is over, and destroy what has stopped to sign."""
    rotation.state, rotation.ended_at = RotationState.COMPLETED, now
    await session.flush()
    audit = Audit(session, endpoint, rotation.kind, SYSTEM, now)
    await audit.tell("expired", rotation.old_secret_ids, rotation=rotation.id)
    await forget_expired(session, endpoint.id, now=max(now, rotation.ends_at))


async def announce(
    session: AsyncSession, endpoint: Endpoint, rotation: SecretRotation, *, now: datetime
) -> None:
    """Tell the tenant, once. What tells the endpoint itself is signed by both, old and new."""
    if rotation.announced_at is not None:
        return
    rotation.announced_at = now
    await session.flush()
    notice = SystemStatusChange(
        component=f"webhook {endpoint.id}",
        previous_status="operational",
        new_status="operational",
        overall_status="operational",
        reason="secret_rotation",
        metadata={
            "webhook_id": endpoint.id,
            "rotation_id": rotation.id,
            "kind": rotation.kind,
            "old_secret_expires_at": timestamp_text(rotation.ends_at),
        },
        changed_at=rotation.started_at,
        incident_id=None,
    )
    await publish(session, endpoint.tenant_id, [(notice, None)], now=now)
    audit = Audit(session, endpoint, rotation.kind, SYSTEM, now)
    await audit.tell("announced", [rotation.new_secret_id], rotation=rotation.id)


async def forget_expired(session: AsyncSession, endpoint_id: str, *, now: datetime) -> None:
    await session.execute(
        delete(SECRETS).where(SECRETS.c.endpoint_id == endpoint_id, SECRETS.c.expires_at <= now)
    )


async def add_key_pair(
    session: AsyncSession, endpoint: Endpoint, pair: EndpointSecret, *, actor: str, now: datetime
) -> None:
    """Sign with Ed25519 too, from now on. Raises KeyPairExists."""
    await lock_endpoint(session, endpoint.id)
    if await _live_pairs(session, endpoint, now):
        raise KeyPairExists
    assert pair.kind == "v1a", "only a key pair is added beside a secret"
    pair.created_at = now
    session.add(pair)
    await session.flush()
    await Audit(session, endpoint, "v1a", actor, now).tell("created", [pair.id])


async def remove_key_pair(
    session: AsyncSession, endpoint: Endpoint, *, actor: str, now: datetime
) -> None:
    """Sign with Ed25519 no longer. Raises NoKeyPair, or RotationUnderWay if it is being rotated."""
    await lock_endpoint(session, endpoint.id)
    rotation = await open_rotation(session, endpoint.id)
    if rotation is not None and rotation.kind == "v1a" and rotation.ends_at > now:
        raise RotationUnderWay(rotation.ends_at)
    pairs = await _live_pairs(session, endpoint, now)
    if not pairs:
        raise NoKeyPair
    await _expire(session, pairs, at=now)
    await Audit(session, endpoint, "v1a", actor, now).tell("expired", pairs)
    await forget_expired(session, endpoint.id, now=now)


async def rotations_to_tell(
    session: AsyncSession, *, due_before: datetime, most: int = 100
) -> Sequence[SecretRotation]:
    """What should have begun or ended a while ago: its workflow may be missing."""
    query = (
        select(SecretRotation)
        .where(
            ROTATIONS.c.state == RotationState.OVERLAPPING,
            (ROTATIONS.c.ends_at < due_before)
            | (ROTATIONS.c.announced_at.is_(None) & (ROTATIONS.c.started_at < due_before)),
        )
        .limit(most)
    )
    return (await session.scalars(query)).all()


class Audit:
    """Writes what was done to the secrets of one endpoint, by one person, at one moment."""

    def __init__(
        self, session: AsyncSession, endpoint: Endpoint, kind: str, actor: str, at: datetime
    ) -> None:
        self._session = session
        self._common = {
            "tenant_id": endpoint.tenant_id,
            "endpoint_id": endpoint.id,
            "kind": kind,
            "actor": actor,
            "at": at,
        }

    async def tell(self, change: str, secret_ids: Iterable[str], **details: Any) -> None:
        rows = [
            self._common
            | {"id": new_id("sch"), "secret_id": id, "change": change, "details": details}
            for id in secret_ids
        ]
        if rows:
            await self._session.execute(insert(SECRET_CHANGES), rows)


async def _clear_the_way(session: AsyncSession, endpoint: Endpoint, now: datetime) -> None:
    rotation = await open_rotation(session, endpoint.id)
    if rotation is None:
        return
    if rotation.ends_at > now:
        raise RotationUnderWay(rotation.ends_at)
    await end_rotation(session, endpoint, rotation, now=now)


async def lock_endpoint(session: AsyncSession, endpoint_id: str) -> Endpoint:
    """One change of an endpoint's secrets at a time."""
    return await session.get_one(Endpoint, endpoint_id, with_for_update=True)


async def _expire(session: AsyncSession, secret_ids: Sequence[str], *, at: datetime | None) -> None:
    await session.execute(update(SECRETS).where(SECRETS.c.id.in_(secret_ids)).values(expires_at=at))


async def _live_pairs(session: AsyncSession, endpoint: Endpoint, now: datetime) -> list[str]:
    rows = await secrets_of(session, endpoint.id)
    return [row.id for row in rows if row.kind == "v1a" and _life(row).is_live(now)]


def _life(row: EndpointSecret) -> KeyLife:
    return KeyLife(row.id, row.kind, row.expires_at)
