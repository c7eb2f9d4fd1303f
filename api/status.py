"""How the installation is doing: in words for people, in figures for Prometheus."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import Allowed, Caller
from api.dependencies import Services, Shared
from api.errors import NotNow
from api.health import what_answers
from api.shapes import Data, View
from storage.totals import relay_lag
from storage.types import utc_now

LAG_MAX: Final = timedelta(seconds=60)

router = APIRouter(tags=["status"])
Reader = Annotated[Caller, Depends(Allowed("read", "metrics.read", "workflows.read"))]
Scraper = Annotated[Caller, Depends(Allowed("metrics.read"))]
Status = Literal["operational", "degraded", "down"]


class Component(View):
    name: Literal["api", "database", "engine", "relay"]
    status: Status
    detail: str


class StatusView(View):
    """Every component, and the worst that can be said of them together."""

    status: Status
    components: list[Component]


class Figures(Response):
    media_type = CONTENT_TYPE_LATEST


@router.get("/status")
async def get_status(caller: Reader, shared: Shared) -> Data[StatusView]:
    """Say how each component is doing. While the engine is down what is accepted waits for it."""
    database, engine = await what_answers(shared)
    if not database:
        raise NotNow("the database does not answer: try again")
    components = [
        Component(name="api", status="operational", detail="answers"),
        Component(name="database", status="operational", detail="answers"),
        _engine(answers=engine),
        await _relay(shared),
    ]
    worst: Status = "operational"
    if any(component.status != "operational" for component in components):
        worst = "degraded"
    return Data(data=StatusView(status=worst, components=components))


@router.get(
    "/metrics",
    response_class=Figures,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(caller: Scraper, shared: Shared) -> Figures:
    """Figures of this process and of the installation, as Prometheus reads them."""
    return Figures(await shared.meters.scrape(shared.database))


def _engine(*, answers: bool) -> Component:
    if answers:
        return Component(name="engine", status="operational", detail="answers")
    return Component(
        name="engine",
        status="down",
        detail="does not answer: what is accepted is started once it does",
    )


async def _relay(shared: Services) -> Component:
    async with shared.database.read() as session:
        lag = await relay_lag(session, now=utc_now())
    seconds = round(lag.total_seconds(), 1)
    status: Status = "operational" if lag < LAG_MAX else "degraded"
    detail = f"the oldest delivery that is due has waited {seconds} seconds"
    return Component(name="relay", status=status, detail=detail)
