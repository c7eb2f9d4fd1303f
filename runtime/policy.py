"""Where webhooks may go, as the settings say. The rules themselves are in domain/url_policy.py."""

from domain.url_policy import UrlPolicy
from runtime.settings import Settings


def url_policy(settings: Settings) -> UrlPolicy:
    return UrlPolicy(
        allow_http=settings.endpoint_allow_http, allow_networks=settings.endpoint_allow_cidrs
    )
