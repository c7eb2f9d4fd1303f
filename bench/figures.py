"""Figures: what was measured, against which ceiling, and what the design asks for."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    p50: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        cuts = statistics.quantiles(seconds, n=20)
        return cls(statistics.median(seconds) * 1000, cuts[18] * 1000)


@dataclass(frozen=True)
class Ceilings:
    """What the parts do alone: the engine with empty workflows, the client with no engine."""

    workflows_per_s: float
    workflow: Latency
    posts_per_s: float


@dataclass(frozen=True)
class Ours:
    """What the whole does. A transfer is a POST, four steps and thirteen events.

    `untold` are transfers of which nobody wants to hear; of `told` ones each event is delivered.
    """

    deliveries_per_s: dict[int, float]
    publish_to_receive: Latency
    untold_transfers_per_s: float
    told_transfers_per_s: float
    transfer_by_api: Latency


@dataclass(frozen=True)
class Row:
    """One line of the table. `at_most` turns the comparison round."""

    what: str
    figure: str
    ratio: float
    of: str
    target: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def rows(ceilings: Ceilings, ours: Ours) -> list[Row]:
    best = max(ours.deliveries_per_s.values())
    delivered = f"{best:.0f}/s"
    received, transfer = ours.publish_to_receive, ours.transfer_by_api
    return [
        Row("deliveries", delivered, best / ceilings.posts_per_s, "client alone", 0.5),
        Row("deliveries", delivered, best / ceilings.workflows_per_s, "empty workflows", 10),
        Row(
            "publish → received, p50",
            f"{received.p50:.0f} ms",
            received.p50 / ceilings.workflow.p50,
            "empty workflow",
            5,
            at_most=True,
        ),
        _transfers("transfers, nobody listens", ours.untold_transfers_per_s, ceilings),
        _transfers("transfers, 13 events each", ours.told_transfers_per_s, ceilings),
        Row(
            "transfer by the API, p50",
            f"{transfer.p50:.0f} ms",
            transfer.p50 / ceilings.workflow.p50,
            "empty workflow",
            8,
            at_most=True,
        ),
    ]


def _transfers(what: str, per_s: float, ceilings: Ceilings) -> Row:
    return Row(what, f"{per_s:.0f}/s", per_s / ceilings.workflows_per_s, "empty workflows", 0.5)


def show(console: Console, ceilings: Ceilings, ours: Ours) -> None:
    console.print(
        f"ceilings: {ceilings.workflows_per_s:.0f} empty workflows/s, "
        f"{ceilings.workflow.p50:.1f} ms each (p95 {ceilings.workflow.p95:.1f}); "
        f"{ceilings.posts_per_s:.0f} POSTs/s by the client alone"
    )
    batches = ", ".join(f"{size}: {rate:.0f}/s" for size, rate in ours.deliveries_per_s.items())
    console.print(f"deliveries by largest batch: {batches}")
    table = Table()
    for heading in ("what", "measured", "ratio", "to", "target", ""):
        table.add_column(heading)
    for row in rows(ceilings, ours):
        sign = "≤" if row.at_most else "≥"
        table.add_row(
            row.what,
            row.figure,
            f"{row.ratio:.2f}",
            row.of,
            f"{sign} {row.target:g}",
            "✓" if row.reached else "not yet",
        )
    console.print(table)
