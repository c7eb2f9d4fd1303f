"""Compliance reports: which entries of the books a regulator is told of, and in which words.

Pure: the saga compliance_report looks the entries up, `records_of` says what is reported of each,
`issues_in` what is wrong with it. The fields are those of the transaction report of MiFIR (RTS 22,
Annex I, Table 2) that apply to money that moves; people do not appear in it, accounts do.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.catalogue.model import timestamp_text
from domain.errors import Refused
from domain.money import minor_to_decimal
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

Framework = Literal["mifid_ii", "mica"]
Jurisdiction = Literal["US", "EU", "UK", "SG"]
Format = Literal["csv", "xml", "json"]

# What MiCA is about; all other assets are money, which MiFID II is about.
TOKENS: Final = frozenset({"USDC", "USDT", "DAI", "EURC", "BTC", "ETH", "SOL", "WETH", "MATIC"})
DAYS_MAX: Final = 366
RECORDS_MAX: Final = 20_000
# Where the law asks for a legal entity identifier (ISO 17442).
WANTS_LEI: Final = frozenset({"EU", "UK"})
# RTS 22's code for an internal account that stands for several clients at once.
AGGREGATED: Final = "INTC"

# Field of the report: its number in RTS 22, Annex I, Table 2. The last two are our own.
FIELDS: Final[dict[str, int | None]] = {
    "report_status": 1,
    "transaction_reference_number": 2,
    "executing_entity": 4,
    "submitting_entity": 6,
    "buyer": 7,
    "seller": 16,
    "trading_date_time": 28,
    "trading_capacity": 29,
    "quantity": 30,
    "quantity_currency": 31,
    "price_currency": 34,
    "net_amount": 35,
    "venue": 36,
    "execution_within_firm": 59,
    "entry": None,
    "kind": None,
}
Record = dict[str, str]


class ReportRefused(Refused):
    """There can be no such report: the period, the size, or what is in it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self._code = code

    @property
    def reason_code(self) -> str:
        return self._code


@dataclass(frozen=True, kw_only=True)
class ComplianceReportRequest(SagaRequest):
    """Report what moved in a period, both days included, to a regulator.

    `mifid_ii` reports money, `mica` crypto-assets. `lei` is the legal entity identifier of who
    reports. `submit_within_s` turns back if the regulator has not taken it by then. `sandbox` tells
    the sandbox `regulator` how to behave.
    """

    framework: Framework = "mifid_ii"
    report_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = "transaction_report"
    jurisdiction: Jurisdiction = "EU"
    period_from: date
    period_to: date
    format: Format = "csv"
    lei: Annotated[str, Field(pattern=r"^[A-Z0-9]{18}[0-9]{2}$")] | None = None
    submit_within_s: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        days = (self.period_to - self.period_from).days + 1
        if not 1 <= days <= DAYS_MAX:
            text = f"a period has 1 to {DAYS_MAX} days, not {days}"
            raise ReportRefused("invalid_period", text)
        if self.lei is not None and not is_lei(self.lei):
            raise ReportRefused("invalid_lei", f"the check digits of {self.lei} are wrong")

    @property
    def report_id(self) -> str:
        return self.id if self.id.startswith("rpt_") else f"rpt_{self.id}"

    @property
    def begins_at(self) -> datetime:
        return datetime.combine(self.period_from, time(), UTC)

    @property
    def ends_at(self) -> datetime:
        """The first instant that is not in it."""
        return datetime.combine(self.period_to + timedelta(days=1), time(), UTC)

    @property
    def deadline_at(self) -> datetime | None:
        """MiFIR, Article 26: the close of the following working day. MiCA names no day."""
        if self.framework == "mica":
            return None
        following = self.period_to + timedelta(days=1)
        while following.weekday() > 4:
            following += timedelta(days=1)
        return datetime.combine(following, time(23, 59, 59), UTC)

    @property
    def regulator_faults(self) -> Faults:
        return self.sandbox.get("regulator", NO_FAULTS)

    def is_reported(self, asset_code: str) -> bool:
        return (asset_code in TOKENS) == (self.framework == "mica")


@dataclass(frozen=True)
class Leg:
    """One posting of an entry. `direction` is +1 for a debit: who gives; -1 for who gets."""

    owner: str
    asset_code: str
    direction: int
    amount_minor: int


@dataclass(frozen=True)
class BookedEntry:
    """A sealed journal entry, as it is read for a report."""

    id: str
    kind: str
    recorded_at: datetime
    legs: tuple[Leg, ...]


@dataclass(frozen=True)
class Rendered:
    """What came of rendering: how much, and how to tell that it is still the same."""

    record_count: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Submitted:
    """Who took a report, and under which reference."""

    reference: str
    regulator: str


def is_lei(text: str) -> bool:
    """ISO 17442: the letters as numbers, modulo 97, leave 1."""
    return int("".join(str(int(character, 36)) for character in text)) % 97 == 1


def records_of(
    request: ComplianceReportRequest, entry: BookedEntry, *, reporter: str
) -> list[Record]:
    """One record for each movement of a reported asset, from one account to another."""
    moves = [
        (asset, seller, buyer, amount)
        for asset in sorted({leg.asset_code for leg in entry.legs})
        if request.is_reported(asset)
        for seller, buyer, amount in _moves([leg for leg in entry.legs if leg.asset_code == asset])
    ]
    return [
        _record(entry, f"{entry.id}#{number}", reporter, move)
        for number, move in enumerate(moves, start=1)
    ]


def _moves(legs: Sequence[Leg]) -> Iterable[tuple[str, str, int]]:
    """Who gave how much to whom: of several on both sides nobody can say, so it is aggregated."""
    gave = [leg for leg in legs if leg.direction > 0]
    got = [leg for leg in legs if leg.direction < 0]
    if len(gave) == 1:
        return [(gave[0].owner, leg.owner, leg.amount_minor) for leg in got]
    if len(got) == 1:
        return [(leg.owner, got[0].owner, leg.amount_minor) for leg in gave]
    return [
        *((leg.owner, AGGREGATED, leg.amount_minor) for leg in gave),
        *((AGGREGATED, leg.owner, leg.amount_minor) for leg in got),
    ]


def _record(
    entry: BookedEntry, reference: str, reporter: str, move: tuple[str, str, str, int]
) -> Record:
    asset, seller, buyer, amount_minor = move
    amount = minor_to_decimal(amount_minor, asset)
    return {
        "report_status": "NEWT",
        "transaction_reference_number": hashlib.sha256(reference.encode()).hexdigest()[:32].upper(),
        "executing_entity": reporter,
        "submitting_entity": reporter,
        "buyer": buyer,
        "seller": seller,
        "trading_date_time": timestamp_text(entry.recorded_at),
        "trading_capacity": "AOTC",
        "quantity": amount,
        "quantity_currency": asset,
        "price_currency": asset,
        "net_amount": amount,
        "venue": "XXXX",
        "execution_within_firm": "NORE",
        "entry": entry.id,
        "kind": entry.kind,
    }


def issues_in(request: ComplianceReportRequest, records: Sequence[Record]) -> list[str]:
    """What a regulator would send back, in words."""
    issues = []
    if request.framework == "mifid_ii" and request.jurisdiction in WANTS_LEI and not request.lei:
        issues.append(f"{request.jurisdiction} asks for a legal entity identifier: give `lei`")
    references = {record["transaction_reference_number"] for record in records}
    if len(references) < len(records):
        issues.append("two records have the same reference")
    first, last = (_to_seconds(moment) for moment in (request.begins_at, request.ends_at))
    for record in records:
        if not first <= record["trading_date_time"][: len(first)] < last:
            issues.append(f"{record['entry']} is not of the period")
        if record["seller"] == record["buyer"]:
            issues.append(f"{record['entry']} has the same account on both sides")
    return issues


def _to_seconds(moment: datetime) -> str:
    return timestamp_text(moment).removesuffix("Z")


def check_size(records: int) -> None:
    """Raises ReportRefused."""
    if records > RECORDS_MAX:
        text = f"a report has at most {RECORDS_MAX} records: choose a shorter period"
        raise ReportRefused("report_too_large", text)


def check_begun(request: ComplianceReportRequest, now: datetime) -> None:
    """Raises ReportRefused for a period of which nothing can be known yet."""
    if now < request.begins_at:
        raise ReportRefused("invalid_period", f"{request.period_from} has not begun yet")
