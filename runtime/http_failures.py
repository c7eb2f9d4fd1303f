"""What a failed exchange is called: every exception has its outcome class and a short text.

The texts are shown to the endpoint's owner, so they are ours: an exception's own text may hold the
address that a name resolved to.
"""

import os
import ssl
from functools import singledispatch

import aiohttp

from domain.delivery import AttemptOutcome, OutcomeClass
from domain.url_policy import UrlRefused
from runtime.bulkhead import Congested

# The first row that fits counts, so special cases stand above general ones.
FAILURES: tuple[tuple[type[Exception], OutcomeClass, str], ...] = (
    (UrlRefused, OutcomeClass.REFUSED_ADDRESS, "webhooks may not go there"),
    (Congested, OutcomeClass.CONGESTED, "no connection of ours became free in time"),
    (aiohttp.ClientProxyConnectionError, OutcomeClass.PROXY, "our proxy cannot be reached"),
    (aiohttp.ClientHttpProxyError, OutcomeClass.PROXY, "our proxy refused"),
    (aiohttp.ClientConnectorDNSError, OutcomeClass.DNS, "the host name does not resolve"),
    (aiohttp.ClientConnectorCertificateError, OutcomeClass.TLS, "the certificate is not valid"),
    (aiohttp.ClientConnectorSSLError, OutcomeClass.TLS, "no TLS connection could be made"),
    (aiohttp.ConnectionTimeoutError, OutcomeClass.CONNECT, "no connection was made in time"),
    (aiohttp.ClientConnectorError, OutcomeClass.CONNECT, "no connection could be made"),
    (aiohttp.ClientResponseError, OutcomeClass.PROTOCOL, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, OutcomeClass.PROTOCOL, "the answer's body is broken"),
    (aiohttp.ClientConnectionError, OutcomeClass.DISCONNECTED, "the connection was lost"),
    (TimeoutError, OutcomeClass.TIMEOUT, "no whole answer came in time"),
    (OSError, OutcomeClass.DISCONNECTED, "the connection was lost"),
)
# A proxy that answers CONNECT with these has tried: it is the receiver that failed.
PROXY_TRIED = frozenset({502, 503, 504})


def failure(error: Exception) -> AttemptOutcome:
    for kind, outcome, text in FAILURES:
        if isinstance(error, kind):
            return AttemptOutcome(_attributed(outcome, error), error=f"{text}{_detail(error)}")
    return AttemptOutcome(OutcomeClass.UNEXPECTED, error="the attempt failed on our side")


def _attributed(outcome: OutcomeClass, error: Exception) -> OutcomeClass:
    if isinstance(error, aiohttp.ClientHttpProxyError) and error.status in PROXY_TRIED:
        return OutcomeClass.CONNECT
    return outcome


@singledispatch
def _detail(error: Exception) -> str:
    """What can be said without naming an address: a reason of ours, OpenSSL's or the kernel's."""
    return ""


@_detail.register
def _(error: UrlRefused) -> str:
    return f": {error} ({error.reason})"


@_detail.register
def _(error: aiohttp.ClientHttpProxyError) -> str:
    return f": it answered {error.status}"


@_detail.register
def _(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    return f": {found.verify_message}" if isinstance(found, ssl.SSLCertVerificationError) else ""


@_detail.register
def _(error: aiohttp.ClientConnectorSSLError) -> str:
    reason = error.os_error.reason if isinstance(error.os_error, ssl.SSLError) else None
    return f": {reason.lower().replace('_', ' ')}" if reason else ""


@_detail.register
def _(error: aiohttp.ClientConnectorDNSError) -> str:
    return f": {error.os_error.strerror}" if error.os_error.strerror else ""


@_detail.register
def _(error: aiohttp.ClientConnectorError) -> str:
    return f": {os.strerror(error.os_error.errno).lower()}" if error.os_error.errno else ""
