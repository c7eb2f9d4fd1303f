"""From where each key was used: a new place, and one that the key does not allow, are told once.

An address of version 6 counts by its network of 64 bits, which is one household's.
"""

from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import SystemSecurityAlert
from domain.ids import new_id
from storage.access_tables import ApiKey, KeyAddress
from storage.outbox import publish
from storage.unless_there import insert_unless_there

PLACES: Any = KeyAddress.__table__  # type: ignore[attr-defined]
# Whoever calls from everywhere is not told of everywhere.
PLACES_MAX = 200


async def note_address(
    session: AsyncSession, key: ApiKey, address: str, *, refused: bool, now: datetime
) -> None:
    """Remember that the key was used from there. Tells the tenant where that is news to it.

    The first place of a key is no news, nor is one that its allow-list names.
    """
    place = place_of(address)
    known = {
        row.address: row.refused
        for row in await session.execute(
            select(PLACES.c.address, PLACES.c.refused).where(PLACES.c.key_id == key.id)
        )
    }
    if place in known or len(known) >= PLACES_MAX:
        return
    row = {"key_id": key.id, "address": place, "refused": refused, "first_seen": now}
    added: Any = await session.execute(insert_unless_there(session, PLACES).values(row))
    if not added.rowcount:
        return  # Another process was told of it at the same moment.
    if refused:
        await _tell(session, key, "ip_blocked", place, now=now)
    elif not key.allow_cidrs and False in known.values():
        await _tell(session, key, "new_ip", place, now=now)


def place_of(address: str) -> str:
    """The address, or its network of 64 bits; whatever else it is, as it was told."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


async def _tell(
    session: AsyncSession,
    key: ApiKey,
    what: Literal["ip_blocked", "new_ip"],
    place: str,
    *,
    now: datetime,
) -> None:
    blocked = what == "ip_blocked"
    alert = SystemSecurityAlert.model_validate(
        {
            "alert_id": new_id("alert"),
            "type": what,
            "severity": "high" if blocked else "low",
            "description": f"API key {key.name!r} was used from an address that "
            + ("its allow-list does not name: it was refused" if blocked else "was new to it"),
            "ip": place,
            "actor": key.id,
            "detected_at": now,
            "recommended_action": "Rotate the API key unless the address is yours"
            + (", and then add it to the key's allow-list." if blocked else "."),
        }
    )
    await publish(session, key.tenant_id, [(alert, None)], now=now)
