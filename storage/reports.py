"""Compliance reports as rows: what is read from the books, and what is kept of a report."""

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select as Query
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import ComplianceReportGenerated
from domain.compliance_report import BookedEntry, ComplianceReportRequest, Leg, Record
from domain.errors import DuplicateRequest
from domain.saga import SagaInfo
from storage.ledger import ENTRIES, POSTINGS
from storage.report_tables import ComplianceReport, ReportFile

REPORTS: Any = ComplianceReport.__table__  # type: ignore[attr-defined]
FILES: Any = ReportFile.__table__  # type: ignore[attr-defined]
REPORT_ORDER = (REPORTS.c.created_at, REPORTS.c.id)


def reports_of(tenant_id: str) -> Query[ComplianceReport]:
    return select(ComplianceReport).where(REPORTS.c.tenant_id == tenant_id)


async def count_entries(
    session: AsyncSession, tenant_id: str, begins_at: datetime, ends_at: datetime
) -> int:
    query = select(func.count()).select_from(ENTRIES).where(*_of(tenant_id, begins_at, ends_at))
    return await session.scalar(query) or 0


async def entries_between(
    session: AsyncSession, tenant_id: str, begins_at: datetime, ends_at: datetime
) -> list[BookedEntry]:
    """A tenant's sealed entries with all their legs, in the order in which they were recorded."""
    query = (
        select(
            ENTRIES.c.id,
            ENTRIES.c.kind,
            ENTRIES.c.recorded_at,
            POSTINGS.c.ledger_account_id,
            POSTINGS.c.direction,
            POSTINGS.c.amount_minor,
        )
        .join(POSTINGS, POSTINGS.c.entry_id == ENTRIES.c.id)
        .where(*_of(tenant_id, begins_at, ends_at))
        .order_by(ENTRIES.c.recorded_at, ENTRIES.c.id, POSTINGS.c.line)
    )
    heads: dict[str, Any] = {}
    legs: dict[str, list[Leg]] = {}
    for row in await session.execute(query):
        owner, _, asset = row.ledger_account_id.rpartition("/")
        heads.setdefault(row.id, row)
        legs.setdefault(row.id, []).append(Leg(owner, asset, row.direction, row.amount_minor))
    return [
        BookedEntry(id, row.kind, row.recorded_at, tuple(legs[id])) for id, row in heads.items()
    ]


def _of(tenant_id: str, begins_at: datetime, ends_at: datetime) -> Sequence[Any]:
    recorded_at = ENTRIES.c.recorded_at
    return (
        ENTRIES.c.tenant_id == tenant_id,
        ENTRIES.c.sealed == 1,
        recorded_at >= begins_at,
        recorded_at < ends_at,
    )


async def create(
    session: AsyncSession, saga: SagaInfo, request: ComplianceReportRequest, packed: bytes
) -> ComplianceReport:
    """The row, and the records that the report will be made of. Raises DuplicateRequest."""
    if await session.get(ComplianceReport, request.report_id) is not None:
        raise DuplicateRequest(f"{request.report_id} is the id of another report")
    row = ComplianceReport(
        id=request.report_id,
        tenant_id=saga.tenant_id,
        framework=request.framework,
        report_type=request.report_type,
        jurisdiction=request.jurisdiction,
        format=request.format,
        period_from=request.period_from,
        period_to=request.period_to,
        workflow_id=saga.workflow_id,
        deadline_at=request.deadline_at,
    )
    session.add(row)
    await session.flush()
    await add_file(session, row.id, "records", packed)
    return row


async def change(session: AsyncSession, report_id: str, **values: Any) -> ComplianceReport:
    row = await session.get_one(ComplianceReport, report_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


async def add_file(session: AsyncSession, report_id: str, kind: str, content: bytes) -> None:
    await session.execute(insert(FILES), {"report_id": report_id, "kind": kind, "content": content})


async def read_file(session: AsyncSession, report_id: str, kind: str) -> bytes | None:
    content: bytes | None = await session.scalar(
        select(FILES.c.content).where(FILES.c.report_id == report_id, FILES.c.kind == kind)
    )
    return content


async def keep_draft(session: AsyncSession, report_id: str) -> None:
    """The draft becomes the file."""
    draft = update(FILES).where(FILES.c.report_id == report_id, FILES.c.kind == "draft")
    await session.execute(draft.values(kind="file"))


async def delete_files(session: AsyncSession, report_id: str, *kinds: str) -> bool:
    """Whether there was any."""
    deleted: Any = await session.execute(
        delete(FILES).where(FILES.c.report_id == report_id, FILES.c.kind.in_(kinds))
    )
    return int(deleted.rowcount) > 0


def pack(records: Sequence[Record]) -> bytes:
    return zlib.compress(json.dumps(records).encode())


async def records_of_report(session: AsyncSession, report_id: str) -> list[Record]:
    packed = await read_file(session, report_id, "records")
    assert packed is not None, f"{report_id} was collected"
    records: list[Record] = json.loads(zlib.decompress(packed))
    return records


def told(row: ComplianceReport, *, download_url: str) -> ComplianceReportGenerated:
    """The event `compliance.report.generated` of this row."""
    return ComplianceReportGenerated.model_validate(
        {
            "report_id": row.id,
            "framework": row.framework,
            "report_type": row.report_type,
            "jurisdiction": row.jurisdiction,
            "period": {"from": row.period_from, "to": row.period_to},
            "status": row.status,
            "record_count": row.record_count,
            "format": row.format,
            "download_url": download_url,
            "sha256": row.sha256,
            "metadata": {"regulator": row.regulator, "reference": row.reference},
            "deadline_at": row.deadline_at,
        }
    )
