"""The control API: start work, read results. One module per resource."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from api import (
    account_changes,
    accounts,
    api_keys,
    contract,
    deliveries,
    docs,
    errors,
    event_types,
    events,
    health,
    maintenance,
    partners,
    redelivery,
    replays,
    reports,
    reversals,
    sdks,
    status,
    tenants,
    transactions,
    transfers,
    webhook_figures,
    webhook_rotations,
    webhook_secrets,
    webhook_switches,
    webhook_trials,
    webhooks,
    widgets,
    workflow_control,
    workflow_starts,
    workflow_stream,
    workflow_types,
    workflows,
)
from api.auth import Authentication
from api.body import Bodies
from api.dependencies import Services
from api.edge import Edge
from api.limits import RateLimits
from api.read_only import ReadOnly

VERSION = "2.0.0"
PREFIX = "/v2"
# The public catalogue stands before the webhook that could be called `events`.
ROUTERS: Sequence[APIRouter] = (
    event_types.router,
    webhooks.router,
    webhook_switches.router,
    webhook_rotations.router,
    webhook_secrets.router,
    webhook_trials.router,
    webhook_figures.router,
    replays.router,
    deliveries.router,
    redelivery.router,
    events.router,
    accounts.router,
    account_changes.router,
    transactions.router,
    transfers.router,
    reversals.router,
    reports.router,
    maintenance.router,
    partners.router,
    sdks.router,
    widgets.router,
    workflow_types.router,
    workflows.router,
    workflow_control.router,
    workflow_stream.router,
    api_keys.router,
    tenants.router,
    status.router,
    health.router,
)


def all_routers() -> Sequence[APIRouter]:
    """Also those that are made from what is installed."""
    return (*ROUTERS, workflow_starts.typed_routes())


def document() -> dict[str, Any]:
    """The OpenAPI document, for those who serve nothing."""
    return _routed().openapi()


def create_app(services: Services) -> FastAPI:
    """The API over what the process has built. Nothing connects here, and nothing is global."""
    app = _routed()
    app.state.services = services
    docs.install(app)
    errors.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(Bodies, bytes_max=services.settings.api_body_bytes_max)
    app.add_middleware(ReadOnly, database=services.database)
    app.add_middleware(RateLimits, limiter=services.limiter)
    app.add_middleware(Authentication, database=services.database, settings=services.settings)
    app.add_middleware(Edge, meters=services.meters)
    return app


def _routed() -> FastAPI:
    app = FastAPI(
        title="Sagapost",
        version=VERSION,
        summary="A bank's workflows as sagas, told by webhooks",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=contract.operation_id,
    )
    app.openapi = lambda: contract.document_of(app)  # type: ignore[method-assign]
    app.router.routes += _routes()
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """The same ones every time: what they are matched and answered with is worked out once."""
    everything = APIRouter(generate_unique_id_function=contract.operation_id)
    for router in all_routers():
        everything.include_router(router, prefix=PREFIX)
    return everything.routes
