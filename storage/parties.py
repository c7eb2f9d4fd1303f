"""The parties of a transfer: what the bank knows of them, and what the sender said.

Personal data: it is read to be checked, and goes to nobody but the provider who checks it.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.saga import SagaInfo
from domain.travel_rule import Side
from storage.holders import find_holder
from storage.kept import kept
from storage.ledger_tables import Account


async def known_of(session: AsyncSession, tenant_id: str, account_id: str) -> dict[str, str]:
    """By the names of the travel rule's fields; what is not known is not there."""
    account = await session.get(Account, account_id)
    if account is None or account.tenant_id != tenant_id:
        return {}
    holder = await find_holder(session, tenant_id, account.user_uuid)
    known = {
        "name": (holder.full_name if holder else None) or account.name,
        "account_number": account.id,
        "address": holder.address if holder else None,
        "document_id": holder.document_id if holder else None,
    }
    return {name: value for name, value in known.items() if value}


async def said_of(session: AsyncSession, saga: SagaInfo, side: Side) -> dict[str, str]:
    """What was given with the transfer, or with the check itself: `travel_rule` of what is kept."""
    for workflow_id in (saga.parent_id, saga.workflow_id):
        said = await kept(session, workflow_id) if workflow_id else {}
        if found := said.get("travel_rule", {}).get(side):
            return {name: value for name, value in found.items() if value}
    return {}
