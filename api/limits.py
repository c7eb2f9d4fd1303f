"""Rate limits: each request spends a token of its key's quotas and of its tenant's, or is a 429.

Every answer says where the caller stands, in the headers that clients know (`X-RateLimit-…`) and
in those of the IETF draft (`RateLimit`, `RateLimit-Policy`), also a 404 or a 422.
"""

import math
from datetime import timedelta
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import Caller
from api.errors import TooMany
from runtime.limiter import Limiter, Standing, Verdict
from storage.quotas import WarnedKey
from storage.types import utc_now

QUOTA_EXCEEDED: Final = "quota_exceeded"


class RateLimits:
    """The middleware after authentication: what is public has no limit of its own."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            caller: Caller | None = getattr(request.state, "caller", None)
            if caller is not None:
                await self._spend(request, caller)
        await self._app(scope, receive, send)

    async def _spend(self, request: Request, caller: Caller) -> None:
        key = WarnedKey(caller.tenant_id, caller.key_id, caller.key_prefix)
        verdict = await self._limiter.ask(caller.limits, key)
        request.state.answer_headers = headers_of(verdict)
        if verdict.wait is not None:
            seconds = max(1, math.ceil(verdict.wait.total_seconds()))
            quota = verdict.standings[0].limit.quota
            text = f"the limit is {quota.limit} requests in {_seconds(quota.window)} seconds"
            raise TooMany(f"{text}: try again in {seconds}", retry_after_s=seconds)


def headers_of(verdict: Verdict) -> dict[str, str]:
    """The tightest limit's standing, and the policy of each."""
    tightest = verdict.standings[0]
    full_in = math.ceil(tightest.full_in.total_seconds())
    reset = math.ceil((utc_now() + tightest.full_in).timestamp())
    return {
        "X-RateLimit-Limit": str(tightest.limit.quota.limit),
        "X-RateLimit-Remaining": str(tightest.remaining),
        "X-RateLimit-Reset": str(reset),
        "RateLimit-Policy": ", ".join(_policy(standing) for standing in verdict.standings),
        "RateLimit": f'"{tightest.limit.kind}";r={tightest.remaining};t={full_in}',
    }


def _policy(standing: Standing) -> str:
    quota = standing.limit.quota
    return f'"{standing.limit.kind}";q={quota.limit};w={_seconds(quota.window)}'


def _seconds(window: timedelta) -> int:
    return int(window.total_seconds())
