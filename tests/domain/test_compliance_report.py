"""Compliance reports: what is reported of an entry, and in which bytes."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from domain.compliance_report import (
    FIELDS,
    RECORDS_MAX,
    BookedEntry,
    ComplianceReportRequest,
    Leg,
    ReportRefused,
    check_begun,
    check_size,
    is_lei,
    issues_in,
    records_of,
)
from domain.report_files import rendered

LEI = "529900T8BM49AURSDO55"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TRANSFER = (Leg("alice", "USD", 1, 5_000), Leg("bob", "USD", -1, 5_000))


def a_report(**changed: Any) -> ComplianceReportRequest:
    period = {"period_from": date(2026, 1, 1), "period_to": date(2026, 1, 31)}
    return ComplianceReportRequest(**{"id": "r1", "lei": LEI} | period | changed)


def an_entry(*legs: Leg, at: datetime = NOON) -> BookedEntry:
    return BookedEntry("transfer/t1/settle", "transfer", at, legs or TRANSFER)


def moves(*legs: Leg, **changed: Any) -> list[tuple[str, str, str, str]]:
    records = records_of(a_report(**changed), an_entry(*legs), reporter=LEI)
    return [
        (one["seller"], one["buyer"], one["quantity"], one["price_currency"]) for one in records
    ]


def test_a_record_has_every_field_and_nobodys_name() -> None:
    [record] = records_of(a_report(), an_entry(), reporter=LEI)

    assert list(record) == list(FIELDS)
    assert record["executing_entity"] == LEI
    assert record["trading_date_time"] == "2026-01-15T12:00:00Z"
    assert len(record["transaction_reference_number"]) == 32


def test_an_entry_makes_a_record_for_each_movement() -> None:
    fee = (Leg("alice", "USD", 1, 5_025), Leg("bob", "USD", -1, 5_000), Leg("fees", "USD", -1, 25))
    gathered = (Leg("a", "USD", 1, 10), Leg("b", "USD", 1, 20), Leg("pool", "USD", -1, 30))
    crossed = (*gathered[:2], Leg("c", "USD", -1, 5), Leg("d", "USD", -1, 25))

    assert moves(*fee) == [("alice", "bob", "50.00", "USD"), ("alice", "fees", "0.25", "USD")]
    assert moves(*gathered) == [("a", "pool", "0.10", "USD"), ("b", "pool", "0.20", "USD")]
    assert moves(*crossed) == [
        ("a", "INTC", "0.10", "USD"),
        ("b", "INTC", "0.20", "USD"),
        ("INTC", "c", "0.05", "USD"),
        ("INTC", "d", "0.25", "USD"),
    ]


def test_money_is_for_mifid_and_tokens_are_for_mica() -> None:
    exchange = (
        *TRANSFER,
        Leg("bob", "USDC", 1, 50_000_000),
        Leg("alice", "USDC", -1, 50_000_000),
    )

    assert moves(*exchange) == [("alice", "bob", "50.00", "USD")]
    assert moves(*exchange, framework="mica") == [("bob", "alice", "50.000000", "USDC")]


def test_the_check_digits_of_an_entity_identifier_count() -> None:
    assert is_lei(LEI)
    assert not is_lei("529900T8BM49AURSDO54")
    with pytest.raises(ReportRefused, match="check digits"):
        a_report(lei="529900T8BM49AURSDO54")


@pytest.mark.parametrize(
    ("last_day", "deadline"),
    [
        (date(2026, 1, 29), datetime(2026, 1, 30, 23, 59, 59, tzinfo=UTC)),
        (date(2026, 1, 30), datetime(2026, 2, 2, 23, 59, 59, tzinfo=UTC)),  # A Friday.
        (date(2026, 1, 31), datetime(2026, 2, 2, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_report_is_due_on_the_next_working_day(last_day: date, deadline: datetime) -> None:
    assert a_report(period_to=last_day).deadline_at == deadline
    assert a_report(period_to=last_day, framework="mica").deadline_at is None


@pytest.mark.parametrize("last_day", [date(2025, 12, 31), date(2027, 1, 2)])
def test_a_period_has_a_day_and_at_most_a_year(last_day: date) -> None:
    with pytest.raises(ReportRefused, match="1 to 366 days"):
        a_report(period_to=last_day)


def test_a_period_that_has_not_begun_and_a_report_that_is_too_large_are_refused() -> None:
    check_begun(a_report(), datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ReportRefused, match="has not begun"):
        check_begun(a_report(), datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    check_size(RECORDS_MAX)
    with pytest.raises(ReportRefused, match="choose a shorter period"):
        check_size(RECORDS_MAX + 1)


def test_what_a_regulator_would_send_back_is_found_before() -> None:
    report = a_report()
    good = records_of(
        report, an_entry(at=datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)), reporter="x"
    )
    late = records_of(report, an_entry(at=datetime(2026, 2, 1, tzinfo=UTC)), reporter="x")
    circle = records_of(
        report, an_entry(Leg("a", "USD", 1, 1), Leg("a", "USD", -1, 1)), reporter="x"
    )

    assert issues_in(report, good) == []
    assert issues_in(report, late) == ["transfer/t1/settle is not of the period"]
    assert issues_in(report, circle) == ["transfer/t1/settle has the same account on both sides"]
    assert issues_in(report, good * 2) == ["two records have the same reference"]
    assert issues_in(a_report(lei=None), good) == [
        "EU asks for a legal entity identifier: give `lei`"
    ]
    assert issues_in(a_report(lei=None, jurisdiction="US"), good) == []


def test_every_format_says_the_same() -> None:
    records = records_of(a_report(), an_entry(), reporter=LEI)

    from_csv = list(csv.DictReader(io.StringIO(rendered(a_report(), records).decode())))
    from_json = json.loads(rendered(a_report(format="json"), records))
    root = ElementTree.fromstring(rendered(a_report(format="xml"), records))
    from_xml = [{field.tag: field.text for field in one} for one in root]

    assert from_csv == from_json["records"] == from_xml == records
    assert (
        from_json["report"]
        == root.attrib
        == {
            "id": "rpt_r1",
            "framework": "mifid_ii",
            "type": "transaction_report",
            "jurisdiction": "EU",
            "from": "2026-01-01",
            "to": "2026-01-31",
            "records": "1",
        }
    )
    assert root[0].find("quantity").attrib == {"field": "30"}  # type: ignore[union-attr]


def test_what_looks_like_markup_stays_text() -> None:
    [record] = records_of(a_report(), an_entry(), reporter="<&\"'>")

    root = ElementTree.fromstring(rendered(a_report(format="xml"), [record]))

    assert root[0].findtext("executing_entity") == "<&\"'>"
