"""Once: a POST under an `Idempotency-Key` has one effect, and one answer however often it is sent.

The answer is kept in the transaction of the effect: there is no moment at which one is there
without the other. Kept for 24 hours, sealed, since an answer may show a secret.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.dependencies import Services, Shared
from api.errors import ApiError, Conflict
from storage import idempotency
from storage.idempotency import AskedOnce, KeptAnswer

REPLAYED: Final = "Idempotent-Replayed"
EMPTY_BODY: Final = "0" * 64
IN_FLIGHT_RETRY_AFTER_S: Final = 1

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Reply(Generic[Body]):
    """An answer that can be kept and given again."""

    body: Body
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


Work = Callable[[AsyncSession], Awaitable[Reply[Body]]]


class Once:
    """One POST. Without a key it simply does its work."""

    def __init__(self, shared: Services, response: Response, asked: AskedOnce | None) -> None:
        self._shared = shared
        self._response = response
        self._asked = asked

    async def reply(self, kind: type[Body], work: Work[Body]) -> Body:
        """Do the work in one transaction with its answer, or give the answer again."""
        return self.send(await self.commit(kind, work))

    async def commit(self, kind: type[Body], work: Work[Body]) -> Reply[Body]:
        async def once(session: AsyncSession) -> Reply[Body]:
            if self._asked is None:
                return await work(session)
            kept = await idempotency.find_answer(session, self._asked)
            if kept is not None:
                return self._opened(kept, kind)
            reply = await work(session)
            await idempotency.keep_answer(session, self._asked, self._sealed(reply))
            return reply

        return await self._shared.database.transact(once)

    async def settle(self, reply: Reply[Body]) -> None:
        """From now on the outcome is the answer, no longer the acceptance."""
        if self._asked is None:
            return
        asked, sealed = self._asked, self._sealed(reply)
        await self._shared.database.transact(
            lambda session: idempotency.replace_answer(session, asked, sealed)
        )

    def send(self, reply: Reply[Body]) -> Body:
        self._response.status_code = reply.status
        self._response.headers.update(reply.headers)
        if reply.replayed:
            self._response.headers[REPLAYED] = "true"
        return reply.body

    def _opened(self, kept: KeptAnswer, kind: type[Body]) -> Reply[Body]:
        assert self._asked is not None
        check_same(kept.fingerprint, self._asked)
        sealed = base64.b64decode(kept.sealed_body)
        body = self._shared.vault.open(sealed, bound_to=_bound_to(self._asked))
        return Reply(kind.model_validate_json(body), kept.status_code, kept.headers, replayed=True)

    def _sealed(self, reply: Reply[Any]) -> KeptAnswer:
        assert self._asked is not None
        body = reply.body.model_dump_json().encode()
        sealed = self._shared.vault.seal(body, bound_to=_bound_to(self._asked))
        return KeptAnswer(
            self._asked.fingerprint,
            reply.status,
            base64.b64encode(sealed).decode(),
            reply.headers,
        )


def check_same(fingerprint: str, asked: AskedOnce) -> None:
    if fingerprint != asked.fingerprint:
        text = "this idempotency key was used with another body: use a new key"
        raise ApiError(text, errors={"Idempotency-Key": [text]}).under(
            422, "idempotency_key_reused"
        )


async def once(
    request: Request,
    response: Response,
    shared: Shared,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="the same key and body again give the same answer, and one effect",
        ),
    ] = None,
) -> AsyncIterator[Once]:
    caller: Caller | None = getattr(request.state, "caller", None)
    if idempotency_key is None or caller is None:
        yield Once(shared, response, None)
        return
    route = f"{request.method} {request.url.path}"
    fingerprint = getattr(request.state, "fingerprint", EMPTY_BODY)
    asked = AskedOnce(caller.tenant_id, route, idempotency_key, fingerprint)
    place = (asked.tenant_id, asked.route, asked.key)
    if place in shared.in_flight:
        check_same(shared.in_flight[place], asked)
        raise _in_flight()
    shared.in_flight[place] = fingerprint
    try:
        yield Once(shared, response, asked)
    finally:
        del shared.in_flight[place]


# Only this process's requests are in its list. Of two in two processes the second waits for the
# first's commit, and finds its answer.
OnceOnly = Annotated[Once, Depends(once, scope="function")]


def _in_flight() -> Conflict:
    text = "a request with this idempotency key is still under way: try again"
    error = Conflict(text, retry_after_s=IN_FLIGHT_RETRY_AFTER_S)
    error.code = "request_in_flight"
    return error


def _bound_to(asked: AskedOnce) -> str:
    return f"{asked.tenant_id} {asked.route} {asked.key}"
