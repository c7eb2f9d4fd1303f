"""Compliance report: a file of what moved, submitted and kept; or nothing at all."""

import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest

from domain.compliance_report import ComplianceReportRequest
from domain.ids import new_uuid
from domain.sandbox import Faults
from storage.report_tables import ComplianceReport, ReportFile
from storage.types import utc_now
from tests.workflows.sagas.bank import Bank

LEI = "529900T8BM49AURSDO55"


def of_today(**changed: Any) -> ComplianceReportRequest:
    today = utc_now().date()
    wanted: dict[str, Any] = {
        "id": new_uuid(),
        "lei": LEI,
        "period_from": today,
        "period_to": today,
    }
    return ComplianceReportRequest(**wanted | changed)


def regulator(**faults: Any) -> dict[str, Faults]:
    return {"regulator": Faults(**faults)}


async def files_of(bank: Bank, report: ComplianceReportRequest) -> dict[str, bytes]:
    kinds = ("records", "draft", "file")
    rows = {kind: await bank.row(ReportFile, (report.report_id, kind)) for kind in kinds}
    return {kind: row.content for kind, row in rows.items() if row is not None}


async def test_what_moved_is_in_the_file_that_is_told_of(bank: Bank) -> None:
    account = await bank.account("123.45 USD")
    report = of_today()

    ended = await bank.run("compliance_report", report)

    assert ended.state == "completed", ended.failure
    files = await files_of(bank, report)
    assert list(files) == ["file"]
    [line] = [
        one
        for one in csv.DictReader(io.StringIO(files["file"].decode()))
        if one["buyer"] == account
    ]
    assert (line["quantity"], line["quantity_currency"]) == ("123.45", "USD")
    told = ended.told("compliance.report.generated")
    assert told["sha256"] == hashlib.sha256(files["file"]).hexdigest() == ended.result["sha256"]
    assert told["download_url"].endswith(f"/v2/reports/{report.report_id}/download")
    assert told["record_count"] == files["file"].count(b"\r\n") - 1
    assert (told["status"], told["format"], told["framework"]) == ("submitted", "csv", "mifid_ii")
    assert told["metadata"]["regulator"] == "sandbox"
    row = await bank.row(ComplianceReport, report.report_id)
    assert (row.status, row.size_bytes) == ("acknowledged", len(files["file"]))


async def test_a_regulator_that_refuses_leaves_no_file(bank: Bank) -> None:
    report = of_today(sandbox=regulator(refuse="report_rejected"))

    ended = await bank.run("compliance_report", report)

    assert ended.code == "report_rejected"
    assert "compliance.report.generated" not in ended.types
    undone = ended.told("workflow.compensation_executed")["compensations"]
    assert [(one["action"], one["status"]) for one in undone] == [
        ("withdraw_report", "noop"),
        ("delete_stored", "executed"),
        ("delete_draft", "noop"),
        ("discard_report", "executed"),
    ]
    assert await files_of(bank, report) == {}
    row = await bank.row(ComplianceReport, report.report_id)
    assert (row.status, row.sha256, row.failure["code"]) == ("failed", None, "report_rejected")


async def test_a_regulator_that_stalls_and_loses_its_answer_gets_one_report(bank: Bank) -> None:
    report = of_today(sandbox=regulator(unavailable=1, lose_answer=1, confirm_after_ms=300))

    ended = await bank.run("compliance_report", report)

    assert ended.state == "completed"
    assert len(ended.told_all("compliance.report.generated")) == 1
    assert ended.steps["await_acknowledgement"] == "done"


async def test_a_regulator_that_never_answers_is_given_up_at_the_deadline(bank: Bank) -> None:
    report = of_today(sandbox=regulator(unavailable=1_000), submit_within_s=2)

    ended = await bank.run("compliance_report", report)

    assert ended.state == "timed_out"
    assert ended.told("workflow.timeout")["timed_out_step"] == "submit_report"
    assert "compliance.report.generated" not in ended.types
    assert await files_of(bank, report) == {}
    assert (await bank.row(ComplianceReport, report.report_id)).status == "expired"


async def test_a_report_that_was_taken_unheard_is_withdrawn_before_its_file_goes(
    bank: Bank,
) -> None:
    """It was done, and every answer lost: only the regulator knows."""
    report = of_today(sandbox=regulator(lose_answer=1_000), submit_within_s=2)

    ended = await bank.run("compliance_report", report)

    assert ended.state == "timed_out"
    undone = ended.told("workflow.compensation_executed")["compensations"]
    assert (undone[0]["action"], undone[0]["status"]) == ("withdraw_report", "executed")
    assert await files_of(bank, report) == {}


async def test_a_report_can_be_called_off_while_the_regulator_is_silent(bank: Bank) -> None:
    report = of_today(sandbox=regulator(unavailable=1_000))
    handle = await bank.start("compliance_report", report)
    await bank.until_state(ComplianceReport, report.report_id, "stored")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert await files_of(bank, report) == {}
    assert (await bank.row(ComplianceReport, report.report_id)).status == "cancelled"


async def test_no_report_without_what_the_jurisdiction_asks_for(bank: Bank) -> None:
    report = of_today(lei=None)

    ended = await bank.run("compliance_report", report)

    assert ended.code == "report_invalid"
    assert ended.told("workflow.failed")["failed_step"] == "validate_records"
    assert await files_of(bank, report) == {}


async def test_a_period_that_has_not_begun_is_refused(bank: Bank) -> None:
    tomorrow = utc_now().date() + timedelta(days=1)

    ended = await bank.run("compliance_report", of_today(period_from=tomorrow, period_to=tomorrow))

    assert ended.code == "invalid_period"
    assert ended.told("workflow.failed")["failed_step"] == "collect_records"


async def test_an_id_that_another_report_has_is_refused(bank: Bank) -> None:
    first = of_today()
    assert (await bank.run("compliance_report", first)).state == "completed"
    before = await files_of(bank, first)

    ended = await bank.run("compliance_report", of_today(id=first.report_id))

    assert ended.code == "duplicate_request"
    assert await files_of(bank, first) == before


@pytest.mark.parametrize("format", ["xml", "json"])
async def test_tokens_are_reported_by_mica(bank: Bank, format: Any) -> None:
    account = await bank.account("7.5 USDC")
    report = of_today(framework="mica", format=format, lei=None)

    ended = await bank.run("compliance_report", report)

    assert ended.state == "completed"
    content = (await files_of(bank, report))["file"].decode()
    assert account in content
    assert "7.500000" in content
    assert "USD<" not in content
    assert '"USD"' not in content
