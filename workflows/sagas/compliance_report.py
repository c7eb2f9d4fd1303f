"""Compliance report: what moved in a period, as a file, to a regulator.

    collect ──► validate ──► render ──► store ──► submit ──► publish ★ ──► await acknowledgement
       │            │           │         │          │
    discard ◄───────┴──────── delete ◄─ delete ◄─ withdraw ◄── refused, expired, cancelled

What is told of can be downloaded for good, so publishing is the pivot. A regulator that does not
answer is asked until the deadline; then the report is withdrawn before anything is deleted, so
that a late submission is refused.
"""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from temporalio import workflow

from activities.ports import ReportActivities
from domain.compliance_report import ComplianceReportRequest
from workflows.saga import Saga
from workflows.steps import Step

COLLECT = Step(ReportActivities.collect_records, compensation=ReportActivities.discard_report)
VALIDATE = Step(ReportActivities.validate_records)
RENDER = Step(ReportActivities.render_report, compensation=ReportActivities.delete_draft)
STORE = Step(ReportActivities.store_report, compensation=ReportActivities.delete_stored)
SUBMIT = Step(
    ReportActivities.submit_report,
    compensation=ReportActivities.withdraw_report,
    outside=True,
    undo_first=True,  # While it may still be taken, its file stays.
)
PUBLISH = Step(ReportActivities.publish_report)
AWAIT = Step(ReportActivities.await_acknowledgement, outside=True, stuck_after=timedelta(days=1))

STEPS = (COLLECT, VALIDATE, RENDER, STORE, SUBMIT, PUBLISH, AWAIT)
EXAMPLE = ComplianceReportRequest(
    period_from=date(2026, 1, 1), period_to=date(2026, 1, 31), lei="529900T8BM49AURSDO55"
)
EXAMPLES = (replace(EXAMPLE, framework="mica", format="xml"),)


@workflow.defn(name="compliance_report")
class ComplianceReport:
    @workflow.run
    async def run(self, request: ComplianceReportRequest) -> dict[str, Any]:
        window = timedelta(seconds=request.submit_within_s)
        subject = ("report", request.report_id)
        async with Saga(STEPS, subject=subject, deadline=window) as saga:
            count = await saga.run(COLLECT, request)
            await saga.run(VALIDATE, request)
            await saga.run(RENDER, request)
            sha256 = await saga.run(STORE, request)
            reference = await saga.run(SUBMIT, request)
            await saga.pivot(PUBLISH, request)
            await saga.run(AWAIT, request)
            saga.result = {
                "report_id": request.report_id,
                "record_count": count,
                "sha256": sha256,
                "regulator_reference": reference,
            }
        return saga.result
