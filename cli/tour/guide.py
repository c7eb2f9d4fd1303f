"""The guide: starts workflows by the API as a customer would, and remembers how each ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cli.demo.client import ApiRefused, Client

ENDS_WITHIN_S = 60
POLL_S = 0.1
COMPLETED = "completed"
FAILED = "failed"
REFUSED = "refused"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Visit:
    """A run of one workflow: what it was to show, and how it was to end.

    What is to fail may be refused by the API before it begins.
    """

    title: str
    expected: str
    workflow: dict[str, Any]

    @property
    def is_as_expected(self) -> bool:
        state = self.workflow["state"]
        return bool(state == self.expected or (state == REFUSED and self.expected == FAILED))


class TookTooLong(Exception):
    """Something that the tour waits for has not come."""


@dataclass
class Guide:
    """Where the tour is. `tell` shows each visit as it ends."""

    client: Client
    api_url: str
    tell: Callable[[Visit], None]
    visits: list[Visit] = field(default_factory=list)

    async def run(
        self, title: str, type: str, input: dict[str, Any], *, expected: str = COMPLETED
    ) -> dict[str, Any]:
        """Start a workflow by the API and wait for its end. Returns its `result`."""
        try:
            started = await self.start(type, input)
        except ApiRefused as refusal:
            if expected != FAILED:
                raise
            failure = {"text": str(refusal)}
            self._note(Visit(title, expected, {"type": type, "state": REFUSED, "failure": failure}))
            return {}
        return await self.ended(title, started["workflow_id"], expected=expected)

    async def start(self, type: str, input: dict[str, Any]) -> dict[str, Any]:
        body = {"type": type, "input": input}
        started: dict[str, Any] = await self.client.post("/v2/workflows", body)
        return started

    async def ended(
        self, title: str, workflow_id: str, *, expected: str = COMPLETED
    ) -> dict[str, Any]:
        async def end() -> dict[str, Any] | None:
            run: dict[str, Any] = await self.client.get(f"/v2/workflows/{workflow_id}")
            return run if run["ended_at"] is not None else None

        workflow = await self.until(f"the end of {workflow_id}", end)
        self._note(Visit(title, expected, workflow))
        result: dict[str, Any] = workflow["result"] or {}
        return result

    def _note(self, visit: Visit) -> None:
        self.visits.append(visit)
        self.tell(visit)

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """Look again and again until something is there. Raises TookTooLong."""
        for _ in range(round(ENDS_WITHIN_S / POLL_S)):
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(POLL_S)
        raise TookTooLong(f"waited {ENDS_WITHIN_S} s for {what}")

    async def open_account(self, name: str, **more: Any) -> str:
        """Returns the account's id, once it is active."""
        body = {"user_uuid": "customer-of-the-tour", "name": name} | more
        account = await self.client.post("/v2/accounts", body)
        await self.ended(f"open “{name}”", f"open_account/{account['uuid']}")
        uuid: str = account["uuid"]
        return uuid

    async def put_in(self, account: str, amount: str, asset: str) -> None:
        money = {"account_uuid": account, "amount": amount, "asset_code": asset}
        await self.run(f"put {amount} {asset} in", "deposit", money)
