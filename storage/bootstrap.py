"""The first tenant and the first API key: made once, so that somebody can begin."""

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from domain.api_keys import check_own_key, key_id, new_key
from storage.keys import add_key, find_key, has_root_key
from storage.tenants import DEFAULT_TENANT, lock_tenant

ROOT_SCOPES = ("*", "tenants.manage", "metrics.read")
# The operator's own tools use it: the demo, the bench, the tests.
ROOT_PER_MINUTE = 60_000
ROOT_PER_HOUR = 60 * ROOT_PER_MINUTE


async def first_key(database_url: str, root_key: str | None) -> str | None:
    """Make tenant and key unless they are there. Returns the key's text where it is known.

    It is known when it was made just now, or when the operator gave it. Raises ValueError for a
    given one that will not do.
    """
    if root_key is not None:
        check_own_key(root_key)
    engine = create_async_engine(database_url)
    try:
        async with AsyncSession(engine) as session, session.begin():
            return await _first_key(session, root_key)
    finally:
        await engine.dispose()


async def _first_key(session: AsyncSession, root_key: str | None) -> str | None:
    await lock_tenant(session, DEFAULT_TENANT, "Default tenant")
    if root_key is None and await has_root_key(session, DEFAULT_TENANT):
        return None
    key = root_key or new_key()
    id = key_id(key)
    assert id is not None
    if await find_key(session, id) is None:
        row = await add_key(
            session, key, tenant_id=DEFAULT_TENANT, name="Root key", scopes=ROOT_SCOPES
        )
        row.is_root = True
        row.limit_per_minute, row.limit_per_hour = ROOT_PER_MINUTE, ROOT_PER_HOUR
    return key
