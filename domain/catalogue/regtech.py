"""RegTech events: what was reported to a regulator, what broke a rule, what was checked.

None of them carries personal data: people and accounts appear as ids.
"""

from datetime import date
from typing import Final, Literal, Self

from pydantic import ConfigDict, Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    EventData,
    JsonObject,
    Part,
    ReasonCode,
    Severity,
    Sha256,
    Subject,
    Timestamp,
)

Jurisdiction = Literal["US", "EU", "UK", "SG"]


class RegtechEvent(EventData):
    category = "regtech"


class ReportPeriod(Part):
    """The days a report covers, both included: `from` and `to` on the wire."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    first_day: date = Field(alias="from")
    last_day: date = Field(alias="to")


class ComplianceReportGenerated(RegtechEvent):
    event_type = "compliance.report.generated"
    description = "Sent when a regulatory report is stored and can be downloaded."
    producer = "ComplianceReport"

    report_id: str
    framework: Literal["mifid_ii", "mica"]
    report_type: str
    jurisdiction: Jurisdiction
    period: ReportPeriod
    status: str
    record_count: Count
    format: Literal["csv", "xml", "json"]
    download_url: str
    sha256: Sha256
    metadata: JsonObject = Field(default_factory=dict)
    deadline_at: Timestamp | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "report_id": "rpt_01kgbq2h0a1hygcpwpq5e6eycn",
                "framework": "mifid_ii",
                "report_type": "transaction_report",
                "jurisdiction": "EU",
                "period": {"from": "2026-01-01", "to": "2026-01-31"},
                "status": "generated",
                "record_count": 1284,
                "format": "csv",
                "download_url": "https://api.example.com/v2/reports/rpt_01kgbq2h0a1hygcpwpq5e6eycn",
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "deadline_at": "2026-02-02T23:59:59Z",
            }
        )


class ComplianceViolationDetected(RegtechEvent):
    """`current_value` and `threshold` are amounts where `asset_code` is given, else counts."""

    event_type = "compliance.violation.detected"
    description = "Sent when a posting breaks a rule, with what was done about it."
    producer = "TransactionMonitoring"

    violation_id: str
    framework: str
    rule_id: str
    type: Literal["velocity", "threshold", "pattern", "geography"]
    severity: Severity
    entity: Subject
    transaction_id: str | None
    current_value: DecimalText
    threshold: DecimalText
    asset_code: str | None
    action_taken: Literal["flagged", "blocked", "account_frozen"]
    case_id: str | None
    metadata: JsonObject = Field(default_factory=dict)
    detected_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "violation_id": "vio_01kdyqaz10dy0yp57rcybvn5sx",
                "framework": "aml",
                "rule_id": "structuring_below_10000_usd",
                "type": "pattern",
                "severity": "high",
                "entity": {"type": "account", "id": "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f35"},
                "transaction_id": "019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10",
                "current_value": "28500.00",
                "threshold": "10000.00",
                "asset_code": "USD",
                "action_taken": "account_frozen",
                "case_id": "case_01kdyqb2m0p1xpa7z3dj8fssz5",
                "detected_at": "2026-01-03T16:00:00Z",
            }
        )


class ThresholdAnalysis(Part):
    """The amount against the jurisdiction's threshold. None: unknown currency or jurisdiction."""

    amount_usd: DecimalText | None
    exceeds_threshold: bool
    threshold_amount: DecimalText | None
    threshold_currency: str | None


class SanctionsScreening(Part):
    originator_cleared: bool
    beneficiary_cleared: bool
    screening_provider: str
    screened_at: Timestamp


class ComplianceIssue(Part):
    code: ReasonCode
    description: str


class TravelRuleCheckCompleted(RegtechEvent):
    event_type = "travel_rule.check.completed"
    description = "Sent when a transfer was checked against the travel rule, whatever the answer."
    producer = "TravelRuleCheck"

    check_id: str
    transfer_id: str
    is_compliant: bool
    risk_level: Severity
    applicable_jurisdiction: Jurisdiction | None
    threshold_analysis: ThresholdAnalysis
    sanctions_screening: SanctionsScreening | None
    compliance_issues: tuple[ComplianceIssue, ...]
    metadata: JsonObject = Field(default_factory=dict)
    checked_at: Timestamp
    valid_until: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "check_id": "trc_01kdw9d5z0s5aa819x9yp98106",
                "transfer_id": "019b7a40-65f2-7a0e-9d13-c84b2e7f5a06",
                "is_compliant": False,
                "risk_level": "medium",
                "applicable_jurisdiction": "US",
                "threshold_analysis": {
                    "amount_usd": "4200.00",
                    "exceeds_threshold": True,
                    "threshold_amount": "3000.00",
                    "threshold_currency": "USD",
                },
                "sanctions_screening": {
                    "originator_cleared": True,
                    "beneficiary_cleared": True,
                    "screening_provider": "sandbox",
                    "screened_at": "2026-01-01T12:00:00.310Z",
                },
                "compliance_issues": [
                    {
                        "code": "missing_travel_rule_data",
                        "description": "the beneficiary's address is missing",
                    }
                ],
                "checked_at": "2026-01-01T12:00:00.355Z",
                "valid_until": "2026-01-02T12:00:00.355Z",
            }
        )


EVENTS: Final[tuple[type[EventData], ...]] = (
    ComplianceReportGenerated,
    ComplianceViolationDetected,
    TravelRuleCheckCompleted,
)
