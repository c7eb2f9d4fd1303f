"""Report files: the same records as CSV, XML or JSON. The same records make the same bytes."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Final

# It writes, and parses nothing.
from xml.etree.ElementTree import (  # nosec B405
    Element,
    SubElement,
    indent,
    tostring,
)

from domain.compliance_report import FIELDS, ComplianceReportRequest, Format, Record

MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xml": "application/xml",
    "json": "application/json",
}


def rendered(request: ComplianceReportRequest, records: Sequence[Record]) -> bytes:
    """The file, in the format that was asked for."""
    match request.format:
        case "csv":
            return _csv(records)
        case "xml":
            return _xml(request, records)
        case "json":
            return _json(request, records)


def _csv(records: Sequence[Record]) -> bytes:
    """RFC 4180, with a header. No field can begin a formula: ids and numbers start plainly."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(FIELDS), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def _json(request: ComplianceReportRequest, records: Sequence[Record]) -> bytes:
    report = {"report": _head(request, len(records)), "records": list(records)}
    return (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()


def _xml(request: ComplianceReportRequest, records: Sequence[Record]) -> bytes:
    """Elements named as the fields are, each with its number in RTS 22."""
    root = Element("report", _head(request, len(records)))
    for record in records:
        element = SubElement(root, "transaction")
        for name, number in FIELDS.items():
            attributes = {"field": str(number)} if number is not None else {}
            SubElement(element, name, attributes).text = record[name]
    indent(root, " ")
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _head(request: ComplianceReportRequest, count: int) -> dict[str, str]:
    return {
        "id": request.report_id,
        "framework": request.framework,
        "type": request.report_type,
        "jurisdiction": request.jurisdiction,
        "from": request.period_from.isoformat(),
        "to": request.period_to.isoformat(),
        "records": str(count),
    }
