"""Move everything that is encrypted at rest to the newest key, while the system runs.

Small batches, each its own transaction, and a row is replaced only if it still holds what was read:
whoever changed it meanwhile wrote with a key of his own, and the next pass looks at it again.
Receivers notice nothing: the secret is the same, only its encryption changes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from runtime.database import Database
from runtime.vault import Vault, WrongKey
from storage import sealed
from storage.sealed import Sealed, SealedKind

BATCH = 100
# Each pass takes what others wrote with an old key during the one before.
PASSES_MAX = 5


@dataclass
class Reencrypted:
    """What came of it: texts moved by kind, and those that no key we have can open."""

    moved: Counter[SealedKind] = field(default_factory=Counter)
    unopened: list[Sealed] = field(default_factory=list)


async def reencrypt(database: Database, vault: Vault, *, batch: int = BATCH) -> Reencrypted:
    """Return once a whole pass found nothing more to move."""
    done = Reencrypted()
    for _ in range(PASSES_MAX):
        done.unopened.clear()
        moved = [await _one_pass(database, vault, kind, batch, done) for kind in SealedKind]
        if not any(moved):
            break
    return done


async def _one_pass(
    database: Database, vault: Vault, kind: SealedKind, batch: int, done: Reencrypted
) -> int:
    moved, after = 0, ()  # type: tuple[int, tuple[str, ...]]
    while texts := await _find(database, vault, kind, after, batch):
        moved += await _move(database, vault, texts, done)
        after = texts[-1].row
    done.moved[kind] += moved
    return moved


async def _find(
    database: Database, vault: Vault, kind: SealedKind, after: tuple[str, ...], batch: int
) -> Sequence[Sealed]:
    async with database.read() as session:
        return await sealed.sealed_by_others(session, kind, vault.key_id, after=after, most=batch)


async def _move(
    database: Database, vault: Vault, texts: Sequence[Sealed], done: Reencrypted
) -> int:
    resealed: list[tuple[Sealed, bytes]] = []
    for old in texts:
        try:
            plain = vault.open(old.text, bound_to=old.bound_to)
        except WrongKey:
            done.unopened.append(old)
        else:
            resealed.append((old, vault.seal(plain, bound_to=old.bound_to)))

    async def work(session: AsyncSession) -> int:
        return sum(
            [await sealed.replace(session, old, text, vault.key_id) for old, text in resealed]
        )

    return await database.transact(work)
