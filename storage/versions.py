"""Versions of an account's details: what each change changed, and from what."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.saga import SagaInfo
from storage.account_tables import AccountVersion
from storage.ledger_tables import Account
from storage.types import utc_now

# What a version may change, by the name it has outside.
COLUMNS = {
    "name": "name",
    "type": "type",
    "metadata": "account_metadata",
    "limits": "limits",
}


def details(account: Account) -> dict[str, Any]:
    return {name: getattr(account, column) for name, column in COLUMNS.items()}


async def write(
    session: AsyncSession, account: Account, current: dict[str, Any], saga: SagaInfo
) -> AccountVersion:
    """Change the locked account, and keep what it was."""
    before = details(account)
    for name, value in current.items():
        setattr(account, COLUMNS[name], value)
    account.version += 1
    account.updated_at = utc_now()
    row = AccountVersion(
        account_id=account.id,
        version=account.version,
        tenant_id=account.tenant_id,
        previous={name: before[name] for name in current},
        current=current,
        workflow_id=saga.workflow_id,
        changed_by=saga.initiated_by,
        changed_at=account.updated_at,
    )
    session.add(row)
    await session.flush()
    return row


async def written_by(
    session: AsyncSession, account_id: str, workflow_id: str
) -> AccountVersion | None:
    """The first version this workflow wrote: a later one restored what was before."""
    found: AccountVersion | None = await session.scalar(
        select(AccountVersion)
        .where(
            col(AccountVersion.account_id) == account_id,
            col(AccountVersion.workflow_id) == workflow_id,
        )
        .order_by(col(AccountVersion.version))
        .limit(1)
    )
    return found
