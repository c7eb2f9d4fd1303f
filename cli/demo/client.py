"""A small client of our own API: what the demo and the tour need, as any customer would call it."""

from typing import Any, Self

import httpx

TIMEOUT_S = 30


class ApiRefused(Exception):
    """The API answered 4xx or 5xx; the text is its own."""


class Client:
    """Answers are the `data` of the API's envelope."""

    def __init__(self, api_url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=api_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        return (await self.page(path, **query))["data"]

    async def page(self, path: str, **query: Any) -> Any:
        """The whole body of a list, with its `meta`."""
        return _body(await self._http.get(path, params=query))

    async def post(self, path: str, body: dict[str, Any], **query: Any) -> Any:
        return _body(await self._http.post(path, json=body, params=query))["data"]


def _body(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise ApiRefused(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
    return answer.json()
