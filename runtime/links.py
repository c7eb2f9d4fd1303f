"""Links into the Temporal UI, and to the API as its clients reach it."""

from urllib.parse import quote

from runtime.settings import Settings


def ui_url(settings: Settings, workflow_id: str, run_id: str | None = None) -> str:
    """The page of a run; without a run id the UI goes to the latest run."""
    namespace = quote(settings.temporal_namespace, safe="")
    page = f"{settings.resolved_temporal_ui_url}/namespaces/{namespace}/workflows"
    workflow = f"{page}/{quote(workflow_id, safe='')}"
    return f"{workflow}/{quote(run_id, safe='')}" if run_id else workflow


def public_url(settings: Settings, path: str) -> str:
    """The URL of a path of the API, `/v2/…`, for those who are told of it."""
    return f"{settings.public_url.rstrip('/') or settings.api_url}{path}"
