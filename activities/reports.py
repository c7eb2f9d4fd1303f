"""Report to regulators: read the books, render a file, keep it with its checksum, submit it."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.connectors.regulator import Regulator
from activities.menu.reports import Call
from activities.ports import ReportActivities
from activities.steps import Steps, Unit
from domain.compliance_report import (
    Rendered,
    ReportRefused,
    Submitted,
    check_begun,
    check_size,
    issues_in,
    records_of,
)
from domain.report_files import rendered
from domain.saga import NOTHING_TO_UNDO, SagaState, Undone, UndoStatus
from runtime.database import Database
from storage import reports
from storage.report_tables import ComplianceReport
from storage.types import utc_now

ASK_AGAIN_AFTER = timedelta(seconds=1)
ISSUES_SHOWN_MAX = 5
STATUS_OF = {SagaState.TIMED_OUT: "expired", SagaState.CANCELLED: "cancelled"}


class RegulatedReportActivities(ReportActivities):
    """`url_of` makes a path of the API, `/v2/…`, a URL for those who are told of it."""

    def __init__(
        self,
        database: Database,
        steps: Steps,
        regulator: Regulator,
        url_of: Callable[[str], str],
    ) -> None:
        self._database = database
        self._steps = steps
        self._regulator = regulator
        self._url_of = url_of

    @activity.defn
    async def collect_records(self, call: Call) -> int:
        async def collect() -> tuple[int, bytes]:
            request, tenant_id = call.request, call.saga.tenant_id
            check_begun(request, utc_now())
            period = (tenant_id, request.begins_at, request.ends_at)
            async with self._database.read() as session:
                check_size(await reports.count_entries(session, *period))
                entries = await reports.entries_between(session, *period)
            reporter = request.lei or tenant_id
            records = [
                record for one in entries for record in records_of(request, one, reporter=reporter)
            ]
            check_size(len(records))
            return len(records), await asyncio.to_thread(reports.pack, records)

        return await self._steps.perform_outside(call, collect, _collected)

    @activity.defn
    async def discard_report(self, call: Call) -> Undone:
        return await self._steps.undo(call, _discard)

    @activity.defn
    async def validate_records(self, call: Call) -> None:
        await self._steps.perform(call, _validate)

    @activity.defn
    async def render_report(self, call: Call) -> Rendered:
        async def render() -> tuple[int, bytes]:
            async with self._database.read() as session:
                records = await reports.records_of_report(session, call.request.report_id)
            return len(records), await asyncio.to_thread(rendered, call.request, records)

        return await self._steps.perform_outside(call, render, _rendered)

    @activity.defn
    async def delete_draft(self, call: Call) -> Undone:
        return await self._steps.undo(call, _delete_draft)

    @activity.defn
    async def store_report(self, call: Call) -> str:
        return await self._steps.perform(call, _store)

    @activity.defn
    async def delete_stored(self, call: Call) -> Undone:
        return await self._steps.undo(call, _delete_stored)

    @activity.defn
    async def submit_report(self, call: Call) -> str:
        async def submit() -> Submitted:
            async with self._database.read() as session:
                row = await session.get_one(ComplianceReport, call.request.report_id)
            assert row.sha256 is not None, "what is submitted was stored"
            faults = call.request.regulator_faults
            return await self._regulator.submit(call.key, row.sha256, faults)

        return await self._steps.perform_outside(call, submit, _submitted)

    @activity.defn
    async def withdraw_report(self, call: Call) -> Undone:
        async def withdraw() -> Undone:
            withdrawn = await self._regulator.withdraw(call.key)
            return Undone(UndoStatus.EXECUTED) if withdrawn else NOTHING_TO_UNDO

        return await self._steps.undo_outside(call, withdraw, _forget_submission)

    @activity.defn
    async def publish_report(self, call: Call) -> None:
        await self._steps.perform(call, self._publish)

    async def _publish(self, unit: Unit, call: Call) -> None:
        row = await unit.session.get_one(ComplianceReport, call.request.report_id)
        await reports.delete_files(unit.session, row.id, "records")
        url = self._url_of(f"/v2/reports/{row.id}/download")
        unit.tell(reports.told(row, download_url=url))

    @activity.defn
    async def await_acknowledgement(self, call: Call) -> None:
        submission_id = f"{call.saga.workflow_id}/submit_report"
        if not await self._regulator.acknowledged(submission_id, call.request.regulator_faults):
            raise ApplicationError(
                "the regulator has not acknowledged it yet",
                type="regulator_pending",
                next_retry_delay=ASK_AGAIN_AFTER,
                category=ApplicationErrorCategory.BENIGN,
            )
        await self._steps.perform(call, _acknowledged)


async def _collected(unit: Unit, call: Call, collected: tuple[int, bytes]) -> int:
    count, packed = collected
    row = await reports.create(unit.session, call.saga, call.request, packed)
    row.record_count = count
    return count


async def _discard(unit: Unit, call: Call) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    await reports.change(
        unit.session,
        call.request.report_id,
        status=STATUS_OF.get(failure.outcome, "failed"),
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    return await _delete(unit, call, "records")


async def _validate(unit: Unit, call: Call) -> None:
    records = await reports.records_of_report(unit.session, call.request.report_id)
    if issues := issues_in(call.request, records):
        text = "; ".join(issues[:ISSUES_SHOWN_MAX])
        raise ReportRefused("report_invalid", f"{len(issues)} issues: {text}")


async def _rendered(unit: Unit, call: Call, made: tuple[int, bytes]) -> Rendered:
    count, content = made
    await reports.add_file(unit.session, call.request.report_id, "draft", content)
    await reports.change(unit.session, call.request.report_id, status="rendered")
    return Rendered(count, hashlib.sha256(content).hexdigest(), len(content))


async def _delete_draft(unit: Unit, call: Call) -> Undone:
    return await _delete(unit, call, "draft")


async def _store(unit: Unit, call: Call) -> str:
    session, report_id = unit.session, call.request.report_id
    content = await reports.read_file(session, report_id, "draft")
    assert content is not None, f"{report_id} was rendered"
    await reports.keep_draft(session, report_id)
    sha256 = hashlib.sha256(content).hexdigest()
    size = len(content)
    await reports.change(session, report_id, status="stored", sha256=sha256, size_bytes=size)
    return sha256


async def _delete_stored(unit: Unit, call: Call) -> Undone:
    report_id = call.request.report_id
    await reports.change(unit.session, report_id, sha256=None, size_bytes=None)
    return await _delete(unit, call, "file")


async def _delete(unit: Unit, call: Call, kind: str) -> Undone:
    deleted = await reports.delete_files(unit.session, call.request.report_id, kind)
    return Undone(UndoStatus.EXECUTED) if deleted else NOTHING_TO_UNDO


async def _submitted(unit: Unit, call: Call, answer: Submitted) -> str:
    await reports.change(
        unit.session,
        call.request.report_id,
        status="submitted",
        reference=answer.reference,
        regulator=answer.regulator,
        submitted_at=utc_now(),
    )
    return answer.reference


async def _forget_submission(unit: Unit, call: Call) -> Undone:
    """That it was withdrawn is the regulator's to say."""
    nobody = {"reference": None, "regulator": None, "submitted_at": None}
    await reports.change(unit.session, call.request.report_id, status="stored", **nobody)
    return NOTHING_TO_UNDO


async def _acknowledged(unit: Unit, call: Call) -> None:
    await reports.change(
        unit.session, call.request.report_id, status="acknowledged", acknowledged_at=utc_now()
    )
