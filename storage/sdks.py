"""Client packages: which there are, and their bytes, each kept once however often it is made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import GenerationNotFound
from domain.sdk import BuiltPackage
from storage.partner_tables import Artifact, Partner, SdkGeneration, SdkPackage
from storage.unless_there import insert_unless_there

ARTIFACTS: Any = Artifact.__table__  # type: ignore[attr-defined]
PACKAGES: Any = SdkPackage.__table__  # type: ignore[attr-defined]
GENERATIONS: Any = SdkGeneration.__table__  # type: ignore[attr-defined]
PARTNERS: Any = Partner.__table__  # type: ignore[attr-defined]


async def keep(
    session: AsyncSession, generation_id: str, package: BuiltPackage, content: bytes
) -> None:
    row = {"sha256": package.sha256, "content": content}
    await session.execute(insert_unless_there(session, ARTIFACTS).values(row))
    session.add(
        SdkPackage(
            generation_id=generation_id,
            language=package.language,
            file=package.file,
            sha256=package.sha256,
            size_bytes=package.size_bytes,
        )
    )
    await session.flush()


async def remove(session: AsyncSession, generation_id: str, language: str | None = None) -> None:
    """Forget the packages, or the one in this language, and the bytes that nobody else has."""
    of_it = PACKAGES.c.generation_id == generation_id
    if language is not None:
        of_it &= PACKAGES.c.language == language
    digests = (await session.scalars(select(PACKAGES.c.sha256).where(of_it))).all()
    await session.execute(delete(PACKAGES).where(of_it))
    used = exists().where(PACKAGES.c.sha256 == ARTIFACTS.c.sha256)
    await session.execute(delete(ARTIFACTS).where(ARTIFACTS.c.sha256.in_(digests), ~used))


async def packages_of(session: AsyncSession, generation_id: str) -> Sequence[SdkPackage]:
    query = select(SdkPackage).where(PACKAGES.c.generation_id == generation_id)
    return (await session.scalars(query.order_by(PACKAGES.c.language))).all()


async def find_generation(
    session: AsyncSession, generation_id: str, tenant_id: str, *, now: datetime
) -> SdkGeneration | None:
    """If it can be had still, and is the tenant's: its owner's, or the partner's own."""
    its = or_(
        GENERATIONS.c.tenant_id == tenant_id,
        PARTNERS.c.own_tenant_id == tenant_id,
        PARTNERS.c.sandbox_tenant_id == tenant_id,
    )
    query = (
        select(SdkGeneration)
        .join(Partner, PARTNERS.c.id == GENERATIONS.c.partner_id)
        .where(
            GENERATIONS.c.id == generation_id,
            GENERATIONS.c.purged_at.is_(None),
            GENERATIONS.c.expires_at > now,
            its,
        )
    )
    found: SdkGeneration | None = await session.scalar(query)
    return found


async def content_of(session: AsyncSession, sha256: str) -> bytes:
    return (await session.get_one(Artifact, sha256)).content


async def mark_purged(
    session: AsyncSession, tenant_id: str, generation_id: str, *, now: datetime
) -> None:
    """Raises GenerationNotFound, also for another tenant's."""
    row = await session.get(SdkGeneration, generation_id, with_for_update=True)
    if row is None or row.tenant_id != tenant_id:
        raise GenerationNotFound(generation_id)
    row.purged_at = row.purged_at or now
    await session.flush()


async def prune_expired(session: AsyncSession, *, before: datetime, most: int = 100) -> int:
    """Delete the packages of generations that expired before then, and say of how many."""
    query = select(GENERATIONS.c.id).where(
        GENERATIONS.c.expires_at < before, GENERATIONS.c.purged_at.is_(None)
    )
    expired = (await session.scalars(query.limit(most))).all()
    for generation_id in expired:
        await remove(session, generation_id)
    gone = update(GENERATIONS).where(GENERATIONS.c.id.in_(expired))
    await session.execute(gone.values(purged_at=before))
    return len(expired)
