"""Where webhooks may go, as the settings say. The rules themselves are in domain/url_policy.py."""

from domain.url_policy import DEFAULT_PORTS, UrlPolicy
from runtime.settings import Settings


def url_policy(settings: Settings) -> UrlPolicy:
    return UrlPolicy(
        allow_http=settings.endpoint_allow_http,
        ports=frozenset({*DEFAULT_PORTS.values(), *settings.endpoint_ports}),
        allow_networks=settings.endpoint_allow_cidrs,
        deny_networks=settings.endpoint_deny_cidrs,
    )


def forward_proxy(settings: Settings) -> str | None:
    """The proxy that webhooks go through, with its password; None where they go straight."""
    return settings.endpoint_proxy.get_secret_value() or None
