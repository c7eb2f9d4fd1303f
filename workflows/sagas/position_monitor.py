"""Position monitor: watch a position that borrowed, warn its owner, and liquidate it in time.

    look ──► [warn] ──► [liquidate ★ (a saga of its own)] ──► done
      ▲                              │
      └────── timer, signal ◄── healthy, or refused ──► (in a new run, after so many looks)

Runs for months: it sleeps on a timer that a signal cuts short, and continues as new before its
history grows long. Ends when the position is closed, by whomever; cancelled, it just stops.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio import workflow

from activities.ports import PositionWatchActivities
from domain.position_watch import Look, MonitorPositionRequest, PriceMove, Unhealthy, judge
from domain.sandbox import Faults
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named

LOOK = Step(PositionWatchActivities.look_at_health, outside=True)
WARN = Step(PositionWatchActivities.warn_owner, name="warn")
LIQUIDATE = named(CHILD, "liquidate")

STEPS = (WARN, LIQUIDATE)
EXAMPLE = MonitorPositionRequest(
    position_id="pos_0199c5a2-0000-7000-8000-000000000004",
    check_every_s=1,
    sandbox={"close": Faults(slip_percent="70")},
)
# A liquidation that is refused is tried again, by another saga.
BEARS_FAILED_CHILDREN = (EXAMPLE,)


@workflow.defn(name="position_monitor")
class PositionMonitor:
    @workflow.init
    def __init__(self, request: MonitorPositionRequest) -> None:
        self._watched = request.seen_first()
        self._called = False

    @workflow.signal
    def look_now(self) -> None:
        """Do not wait for the timer."""
        self._called = True

    @workflow.signal
    def move_price(self, move: PriceMove) -> None:
        """Let the sandbox's price of the collateral fall, and look."""
        self._watched = replace(self._watched, price_slip_percent=move.slip_percent)
        self._called = True

    @workflow.run
    async def run(self, request: MonitorPositionRequest) -> dict[str, Any]:
        pause = timedelta(seconds=request.check_every_s)
        async with Saga(STEPS, subject=("position", request.position_id)) as saga:
            for _ in range(request.looks_per_run):
                self._called = False
                if outcome := await self._round(saga, request):
                    saga.result = {"outcome": outcome, "warnings": self._watched.warnings}
                    break
                await saga.pause(pause, until=lambda: self._called, summary="until the next look")
            else:
                saga.continue_as_new(replace(request, so_far=self._watched))
        return saga.result

    async def _round(self, saga: Saga, request: MonitorPositionRequest) -> str | None:
        """Look, and do what follows. Says how it ended, once it has."""
        look = Look(request.position_id, self._watched.slip)
        health = await saga.look(LOOK, look)
        if not health.open:
            return "closed"
        verdict = judge(Decimal(health.health_factor), warned=self._watched.warned)
        self._watched = replace(self._watched, warned=verdict.warned)
        if verdict.warn:
            number = self._watched.warnings + 1
            self._watched = replace(self._watched, warnings=number)
            unhealthy = Unhealthy(request.position_id, health)
            await saga.run(WARN, unhealthy, name=f"warn-{number}")
        return await self._liquidate(saga, request) if verdict.liquidate else None

    async def _liquidate(self, saga: Saga, request: MonitorPositionRequest) -> str | None:
        number = self._watched.liquidations + 1
        self._watched = replace(self._watched, liquidations=number)
        close, name = request.liquidation(self._watched), f"liquidate-{number}"
        ended = await saga.try_child("close_position", close, step=LIQUIDATE, name=name)
        # One that failed has undone itself: the owner closes it, or the next look tries again.
        return None if ended.failure else "liquidated"
