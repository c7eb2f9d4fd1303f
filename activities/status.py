"""Ask the components how they are doing, and tell of what has changed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity
from temporalio.service import RPCError

from activities.ports import StatusActivities
from activities.steps import Steps, Unit
from domain.saga import StepCall
from domain.status import Answer, Component, Measured, StatusLook, StatusReport, status_of
from runtime.database import Database
from storage import statuses
from storage.totals import relay_lag
from storage.types import utc_now

ANSWER_WITHIN = timedelta(seconds=2)
ALIVE = "/v2/health/live"
NO_ANSWER = (SQLAlchemyError, OSError, RPCError, RuntimeError, TimeoutError, aiohttp.ClientError)


class ProbingStatusActivities(StatusActivities):
    """`url_of` makes a path of the API, `/v2/…`, a URL as its clients reach it."""

    def __init__(self, database: Database, steps: Steps, url_of: Callable[[str], str]) -> None:
        self._database = database
        self._steps = steps
        self._url_of = url_of
        self._asking: dict[Component, Callable[[], Awaitable[int | None]]] = {
            "api": self._ask_api,
            "database": self._ask_database,
            "engine": self._ask_engine,
            "relay": self._ask_relay,
        }

    @activity.defn
    async def ask_components(self, call: StepCall[StatusLook]) -> list[Measured]:
        look = call.request
        asked = [self._ask(component, look) for component in look.monitor.components]
        return [measured for measured in await asyncio.gather(*asked) if measured is not None]

    @activity.defn
    async def record_changes(self, call: StepCall[StatusReport]) -> None:
        await self._steps.perform(call, _record)

    async def _ask(self, component: Component, look: StatusLook) -> Measured | None:
        measured = await self._measure(component, look)
        if measured is not None and measured.status != "operational":
            # Once is chance: a packet that was lost, a disk that was busy.
            measured = await self._measure(component, look)
        return measured

    async def _measure(self, component: Component, look: StatusLook) -> Measured | None:
        answer = await _answer(self._asking[component]())
        if component == "relay" and answer.ms is None:
            return None  # The database was asked in its place, and does not say.
        limit_ms = look.monitor.limit_ms(component)
        status, reason = status_of(component, answer, limit_ms=limit_ms, late_ms=look.late_ms)
        return Measured(component, status, reason, utc_now())

    async def _ask_api(self) -> None:
        async with aiohttp.ClientSession() as http, http.get(self._url_of(ALIVE)) as alive:
            alive.raise_for_status()

    async def _ask_database(self) -> None:
        async with self._database.read() as session:
            await session.execute(text("SELECT 1 FROM tenants"))

    async def _ask_engine(self) -> None:
        await activity.client().count_workflows("TenantId = 'nobody'", rpc_timeout=ANSWER_WITHIN)

    async def _ask_relay(self) -> int:
        """Its own measure: how long the oldest delivery that is due has waited."""
        async with self._database.read() as session:
            lag = await relay_lag(session, now=utc_now())
        return lag // timedelta(milliseconds=1)


async def _answer(question: Awaitable[int | None]) -> Answer:
    """What it measured, or how long it took."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            measured = await question
    except NO_ANSWER:
        return Answer(None)
    took = round((time.perf_counter() - begun) * 1_000)
    return Answer(took if measured is None else measured)


async def _record(unit: Unit, call: StepCall[StatusReport]) -> None:
    report = call.request
    for one in report.changed:
        workflow_id = call.saga.workflow_id
        told = await statuses.change(unit.session, workflow_id, one, overall=report.overall)
        if told is not None:
            unit.tell(told)
