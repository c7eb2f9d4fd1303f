"""Monitoring as rows: what is still to be judged, what is known of it, and what came of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.catalogue import ComplianceViolationDetected
from domain.ids import new_id
from domain.ledger import Direction
from domain.money import Money
from domain.monitoring import LOOK_BACK, RULES, Finding, Posted, RuleId
from domain.saga import SagaInfo
from storage.ledger import ENTRIES, POSTINGS
from storage.ledger_change import ACCOUNTS
from storage.ledger_tables import Account
from storage.monitoring_tables import JudgedUpTo, Violation

OWNERS: Any = Account.__table__  # type: ignore[attr-defined]
MARKS: Any = JudgedUpTo.__table__  # type: ignore[attr-defined]
# A rule that has more before it judges the rest in its next round.
POSTINGS_MAX = 500
COUNTRY = "country"


@dataclass(frozen=True)
class Scope:
    """Whose postings: a tenant's, of one account or of all, that moved in a period."""

    tenant_id: str
    account_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Owned:
    """A ledger account, and whose it is."""

    ledger_account_id: str
    account_id: str
    asset_code: str


async def unjudged(session: AsyncSession, scope: Scope, *, most: int) -> list[Owned]:
    """Ledger accounts with a posting in the scope that some rule has not judged."""
    found: dict[str, Owned] = {}
    for rule in RULES:
        for row in await session.execute(_unjudged_by(rule, scope).limit(most)):
            found[row.id] = Owned(row.id, row.account_id, row.asset_code)
    return [found[id] for id in sorted(found)[:most]]


def _unjudged_by(rule: RuleId, scope: Scope) -> Select[Any]:
    judged = and_(MARKS.c.ledger_account_id == ACCOUNTS.c.id, MARKS.c.rule_id == rule)
    query = (
        select(ACCOUNTS.c.id, ACCOUNTS.c.account_id, ACCOUNTS.c.asset_code)
        .distinct()
        .join(POSTINGS, POSTINGS.c.ledger_account_id == ACCOUNTS.c.id)
        .join(ENTRIES, ENTRIES.c.id == POSTINGS.c.entry_id)
        .outerjoin(MARKS, judged)
        .where(
            ENTRIES.c.tenant_id == scope.tenant_id,
            ACCOUNTS.c.account_id.is_not(None),
            POSTINGS.c.account_version > func.coalesce(MARKS.c.version, 0),
        )
        .order_by(ACCOUNTS.c.id)
    )
    if scope.account_id is not None:
        query = query.where(ACCOUNTS.c.account_id == scope.account_id)
    if scope.since is not None:
        query = query.where(ENTRIES.c.recorded_at >= scope.since)
    if scope.until is not None:
        query = query.where(ENTRIES.c.recorded_at < scope.until)
    return query


async def lock_mark(session: AsyncSession, ledger_account_id: str, rule: RuleId) -> JudgedUpTo:
    """Locked until the commit: of two that judge at once the second finds nothing left."""
    key = (ledger_account_id, rule)
    mark = await session.get(JudgedUpTo, key, with_for_update=True, populate_existing=True)
    if mark is None:
        mark = JudgedUpTo(ledger_account_id=ledger_account_id, rule_id=rule)
        session.add(mark)
        await session.flush()
    return mark


async def postings_to_judge(session: AsyncSession, owned: Owned, *, after: int) -> list[Posted]:
    """The next ones after that version, and before them what a rule may have to look back to."""
    new = _postings(owned).where(POSTINGS.c.account_version > after)
    new = new.order_by(POSTINGS.c.account_version).limit(POSTINGS_MAX)
    rows = (await session.execute(new)).all()
    if not rows:
        return []
    past = _postings(owned).where(
        POSTINGS.c.account_version <= after,
        ENTRIES.c.recorded_at > rows[0].recorded_at - LOOK_BACK,
    )
    past = past.order_by(POSTINGS.c.account_version.desc()).limit(POSTINGS_MAX)
    rows = [*reversed((await session.execute(past)).all()), *rows]
    countries = await _countries(session, [row.entry_id for row in rows], owned)
    return [
        Posted(
            version=row.account_version,
            entry_id=row.entry_id,
            kind=row.kind,
            direction=Direction(row.direction),
            money=Money(row.amount_minor, owned.asset_code),
            recorded_at=row.recorded_at,
            countries=frozenset(countries[row.entry_id]),
        )
        for row in rows
    ]


def _postings(owned: Owned) -> Select[Any]:
    return (
        select(
            POSTINGS.c.account_version,
            POSTINGS.c.entry_id,
            POSTINGS.c.direction,
            POSTINGS.c.amount_minor,
            ENTRIES.c.kind,
            ENTRIES.c.recorded_at,
        )
        .join(ENTRIES, ENTRIES.c.id == POSTINGS.c.entry_id)
        .where(POSTINGS.c.ledger_account_id == owned.ledger_account_id)
    )


async def _countries(
    session: AsyncSession, entry_ids: Sequence[str], owned: Owned
) -> dict[str, set[str]]:
    """Where the other customers of each entry say that they are: `country` of their metadata."""
    query = (
        select(POSTINGS.c.entry_id, OWNERS.c.account_metadata)
        .join(ACCOUNTS, ACCOUNTS.c.id == POSTINGS.c.ledger_account_id)
        .join(OWNERS, OWNERS.c.id == ACCOUNTS.c.account_id)
        .where(POSTINGS.c.entry_id.in_(entry_ids), OWNERS.c.id != owned.account_id)
    )
    found: dict[str, set[str]] = defaultdict(set)
    for entry_id, metadata in await session.execute(query):
        if isinstance(country := metadata.get(COUNTRY), str):
            found[entry_id].add(country.upper())
    return found


def add_violation(
    session: AsyncSession, saga: SagaInfo, owned: Owned, finding: Finding, *, case_id: str
) -> None:
    session.add(
        Violation(
            id=new_id("vio"),
            tenant_id=saga.tenant_id,
            rule_id=finding.rule,
            severity=RULES[finding.rule].severity,
            account_id=owned.account_id,
            ledger_account_id=owned.ledger_account_id,
            account_version=finding.version,
            entry_id=finding.entry_id,
            current_value=finding.current_value,
            threshold=finding.threshold,
            asset_code=finding.asset_code,
            case_id=case_id,
            workflow_id=saga.workflow_id,
        )
    )


async def untold(session: AsyncSession, workflow_id: str) -> Sequence[Violation]:
    """What this run found and has not told, in the order in which it was found."""
    query = select(Violation).where(
        col(Violation.workflow_id) == workflow_id, col(Violation.action_taken).is_(None)
    )
    return (await session.scalars(query.order_by(col(Violation.id)))).all()


def told(row: Violation) -> ComplianceViolationDetected:
    """The event `compliance.violation.detected` of this row."""
    return ComplianceViolationDetected.model_validate(
        {
            "violation_id": row.id,
            "framework": "aml",
            "rule_id": row.rule_id,
            "type": RULES[row.rule_id].type,  # type: ignore[index]
            "severity": row.severity,
            "entity": {"type": "account", "id": row.account_id},
            "transaction_id": row.entry_id,
            "current_value": row.current_value,
            "threshold": row.threshold,
            "asset_code": row.asset_code,
            "action_taken": row.action_taken,
            "case_id": row.case_id,
            "detected_at": row.detected_at,
        }
    )
