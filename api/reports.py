"""Compliance reports: which there are, and the files themselves.

One is made by the workflow type `compliance_report`; another tenant's is not there.
"""

import base64
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared
from api.errors import NotFound
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from domain.report_files import MEDIA_TYPES
from storage.listing import find_own
from storage.report_tables import ComplianceReport
from storage.reports import REPORT_ORDER, read_file, reports_of

router = APIRouter(prefix="/reports", tags=["compliance reports"])
Reader = Annotated[Caller, Depends(Allowed("read", "reports.read"))]
BYTES: Final = {"schema": {"type": "string", "format": "binary"}}


class ReportView(View):
    """A report. `sha256` and `download_url` are there while there is a file."""

    id: str
    framework: str
    report_type: str
    jurisdiction: str
    format: str
    period_from: date
    period_to: date
    status: str
    record_count: int
    sha256: str | None
    size_bytes: int | None
    regulator: str | None
    reference: str | None
    failure: dict[str, JsonValue] | None
    download_url: str | None
    workflow_id: str
    deadline_at: Timestamp | None
    created_at: Timestamp
    submitted_at: Timestamp | None
    acknowledged_at: Timestamp | None


class ReportContent(Response):
    """The file as it was submitted."""

    media_type = "application/octet-stream"


@router.get("")
async def list_reports(caller: Reader, session: Session, pages: Pages) -> Page[ReportView]:
    """List compliance reports, the newest first."""
    listed = await pages.find(session, reports_of(caller.tenant_id), REPORT_ORDER)
    return pages.show(listed, report_view)


@router.get("/{report_id}")
async def get_report(report_id: str, caller: Reader, session: Session) -> Data[ReportView]:
    """Get one compliance report."""
    return Data(data=report_view(await _own(session, report_id, caller)))


@router.get(
    "/{report_id}/download",
    response_class=ReportContent,
    responses={200: {"content": dict.fromkeys(MEDIA_TYPES.values(), BYTES)}},
)
async def download_report(report_id: str, caller: Reader, shared: Shared) -> ReportContent:
    """Download the very bytes that were submitted; `Repr-Digest` says what they must hash to."""
    async with shared.database.read() as session:
        row = await _own(session, report_id, caller)
        content = await read_file(session, row.id, "file")
    if content is None or row.sha256 is None:
        raise NotFound("file of report", f"{row.id}, which is {row.status}")
    digest = base64.b64encode(bytes.fromhex(row.sha256)).decode()
    return ReportContent(
        content,
        media_type=next(kind for name, kind in MEDIA_TYPES.items() if name == row.format),
        headers={
            "Content-Disposition": f'attachment; filename="{row.id}.{row.format}"',
            "ETag": f'"{row.sha256}"',
            "Repr-Digest": f"sha-256=:{digest}:",
        },
    )


async def _own(session: AsyncSession, report_id: str, caller: Caller) -> ComplianceReport:
    row = await find_own(session, ComplianceReport, report_id, caller.tenant_id)
    if row is None:
        raise NotFound("report", report_id)
    return row


def report_view(row: ComplianceReport) -> ReportView:
    url = f"/v2/reports/{row.id}/download" if row.sha256 else None
    return ReportView.model_validate(row.model_dump() | {"download_url": url})
