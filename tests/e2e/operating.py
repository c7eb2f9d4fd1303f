"""What the tests of deliveries on a running stack ask for again and again."""

from typing import Any

import httpx
from standardwebhooks import Webhook

from domain.catalogue import EVENT_TYPES
from tests.hooks import Got, Hook
from tests.lifecycle import eventually

BALANCE = EVENT_TYPES["account.balance_updated"].example().model_dump(mode="json", by_alias=True)
WITHIN_S = 60.0


class Operator:
    """A customer at the API, with one receiver for all of their webhooks: a path for each."""

    def __init__(self, http: httpx.AsyncClient, receiver: Hook) -> None:
        self.http = http
        self.receiver = receiver

    async def ask(
        self, method: str, path: str, json: Any = None, *, expect: int = 200, **more: Any
    ) -> Any:
        answer = await self.http.request(method, path, json=json, **more)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json().get("data")

    async def refused(self, status: int, code: str, path: str, json: Any = None) -> None:
        answer = await self.http.post(path, json=json)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["code"] == code, answer.text

    async def webhook(self, name: str, **options: Any) -> dict[str, Any]:
        """One that hears of one account only: the one of its own name."""
        body = {
            "url": f"{self.receiver.url}{name}",
            "events": ["account.balance_updated"],
            "filter": {"data.account_uuid": name},
        }
        made: dict[str, Any] = await self.ask("POST", "/webhooks", body | options, expect=201)
        return made

    async def publish(self, name: str, number: int = 1) -> list[dict[str, Any]]:
        """Events for that webhook, with their deliveries."""
        body = {"type": "account.balance_updated", "data": BALANCE | {"account_uuid": name}}
        return [await self.ask("POST", "/events", body, expect=202) for _ in range(number)]

    async def delivery(self, name: str) -> str:
        """The delivery of a new event."""
        [event] = await self.publish(name)
        [delivery] = event["deliveries"]
        id: str = delivery["id"]
        return id

    async def until(self, path: str, **expected: Any) -> dict[str, Any]:
        """What is at the path once its fields are as expected."""

        async def is_so() -> Any:
            found = await self.ask("GET", path)
            return found if expected.items() <= found.items() else None

        found: dict[str, Any] = await eventually(is_so, within_s=WITHIN_S, every_s=0.1)
        return found

    async def came(self, name: str, number: int) -> list[Got]:
        """The POSTs to a webhook once there are so many."""

        async def are_there() -> list[Got] | None:
            got = self.at(name)
            return got if len(got) >= number else None

        got: list[Got] = await eventually(are_there, within_s=WITHIN_S, every_s=0.1)
        return got

    def at(self, name: str) -> list[Got]:
        return [got for got in self.receiver.got if got.path == f"/{name}"]


def verified(secret: str, got: Got) -> Any:
    headers = {name.lower(): value for name, value in got.headers.items()}
    return Webhook(secret).verify(got.body, headers)
