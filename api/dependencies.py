"""What a route may ask for. Routes name these aliases and never build anything."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from api.errors import Invalid
from domain.url_policy import UrlPolicy
from runtime.database import Database
from runtime.delivery_control import DeliveryControl
from runtime.limiter import Limiter
from runtime.links import ui_url
from runtime.meters import Meters
from runtime.settings import Settings
from runtime.vault import Vault


@dataclass(frozen=True)
class Services:
    """What the process built once, at its start.

    `in_flight` are the POSTs with a key, by key; `streams` the streams of events that are open.
    """

    settings: Settings
    database: Database
    temporal: Client
    vault: Vault
    policy: UrlPolicy
    in_flight: dict[tuple[str, str, str], str] = field(default_factory=dict)
    streams: set[object] = field(default_factory=set)
    meters: Meters = field(default_factory=Meters)

    @cached_property
    def limiter(self) -> Limiter:
        return Limiter(self.database)

    @property
    def delivery_control(self) -> DeliveryControl:
        return DeliveryControl(self.database, self.temporal)

    def run_url(self, workflow_id: str, run_id: str | None = None) -> str:
        """The run's page in the Temporal UI."""
        return ui_url(self.settings, workflow_id, run_id)


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Shared = Annotated[Services, Depends(services)]


async def reading(shared: Shared) -> AsyncIterator[AsyncSession]:
    async with shared.database.read() as session:
        yield session


# Given back before the answer is sent: a slow client holds no connection to the database.
Session = Annotated[AsyncSession, Depends(reading, scope="function")]


def wait_seconds(
    shared: Shared,
    wait: Annotated[
        float | None,
        Query(ge=0, le=300, description="seconds to wait for the outcome before answering 202"),
    ] = None,
) -> float | None:
    longest = shared.settings.api_wait_max.total_seconds()
    if wait is not None and wait > longest:
        raise Invalid({"wait": [f"wait at most {longest:g} seconds"]})
    return wait


Wait = Annotated[float | None, Depends(wait_seconds)]
