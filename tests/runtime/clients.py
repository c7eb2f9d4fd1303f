"""Webhook clients for tests: loopback counts as public, and deadlines are short."""

import ssl
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from domain.delivery import AttemptOutcome
from domain.url_policy import UrlPolicy
from runtime.address_guard import Resolver
from runtime.http import ClientLimits, WebhookClient
from tests.runtime.receivers import AUTHORITY

LOOPBACK = UrlPolicy(allow_http=True, allow_networks=(ip_network("127.0.0.0/8"),))
PUBLIC = UrlPolicy(allow_http=True, ports=frozenset({80, 443, 8443}))
SHORT = ClientLimits(
    dns_deadline=timedelta(seconds=0.2),
    connect_deadline=timedelta(seconds=0.3),
    dns_ttl=timedelta(),
)


def webhook_client(policy: UrlPolicy = LOOPBACK, **options: Any) -> WebhookClient:
    return WebhookClient(policy, **{"limits": SHORT, **options})


def tls_client(port: int, resolver: Resolver | None = None) -> WebhookClient:
    """Every name leads to loopback, may have this port, and is trusted if our authority says so."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    policy = UrlPolicy(
        allow_http=True, ports=frozenset({port}), allow_networks=LOOPBACK.allow_networks
    )
    return webhook_client(
        policy, resolver=resolver or StubResolver(["127.0.0.1"]), ssl_context=context
    )


async def post(
    client: WebhookClient,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    seconds: float = 2,
) -> AttemptOutcome:
    return await client.post(
        url, headers=headers or {}, body=body, deadline=timedelta(seconds=seconds)
    )


class StubResolver:
    """Gives each lookup its own answer; the last one again and again."""

    def __init__(self, *lookups: list[str] | Exception) -> None:
        self.asked: list[str] = []
        self._lookups = list(lookups)

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answer = self._lookups.pop(0) if len(self._lookups) > 1 else self._lookups[0]
        if isinstance(answer, Exception):
            raise answer
        return answer
