"""Widgets, as partners' pages load them: public scripts at versioned URLs.

A version's bytes never change, so it may be kept for ever; `current` is looked up again each
minute. Only pages of the origins that the deployment allows may load it.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path
from fastapi.responses import Response

from api.dependencies import Session
from api.errors import NotFound
from domain.partner import WidgetType
from domain.widget import Environment
from storage.partner_tables import WidgetDeployment
from storage.widgets import find_served

MEDIA_TYPE: Final = "text/javascript; charset=utf-8"
FOR_EVER: Final = "public, max-age=31536000, immutable"
FOR_A_MINUTE: Final = "public, max-age=60"
CURRENT: Final = "current"
Version = Annotated[str, Path(pattern=r"^(current|\d+\.\d+\.\d+)$", examples=["1.0.3"])]

router = APIRouter(prefix="/widgets", tags=["widgets"])


async def served(
    partner_id: str,
    environment: Environment,
    widget_type: WidgetType,
    version: Version,
    session: Session,
) -> WidgetDeployment:
    wanted = None if version == CURRENT else version
    row = await find_served(session, partner_id, environment, widget_type, wanted)
    if row is None:
        raise NotFound("widget", f"{widget_type} {version} of {partner_id}")
    return row


@router.get(
    "/{partner_id}/{environment}/{widget_type}/{version}.js",
    response_class=Response,
    responses={200: {"content": {"text/javascript": {"schema": {"type": "string"}}}}},
)
async def get_widget(
    row: Annotated[WidgetDeployment, Depends(served)],
    version: Version,
    origin: Annotated[str | None, Header()] = None,
) -> Response:
    """Get a widget's script: one version, or the `current` one. Needs no key."""
    headers = {
        "Cache-Control": FOR_A_MINUTE if version == CURRENT else FOR_EVER,
        "ETag": f'"{row.integrity}"',
        # Who loads it without asking for CORS, or is not allowed, gets nothing to run.
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Origin",
    }
    if origin in row.allowed_origins:
        headers["Access-Control-Allow-Origin"] = origin
    return Response(row.content, headers=headers, media_type=MEDIA_TYPE)
