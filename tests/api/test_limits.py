"""Keys and their limits: what is counted, what is told, who is locked out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.dependencies import Services
from domain.api_keys import new_key
from domain.quota import Quota
from runtime.database import Database
from runtime.limiter import Limit, Limiter
from storage.access_tables import AuthFailure
from storage.keys import NewKey, make_key
from storage.quotas import WarnedKey
from storage.tenants import DEFAULT_TENANT
from storage.types import utc_now
from tests.api.asking import problem_of
from tests.api.test_auth import bearing
from tests.lifecycle import House

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
SOMEBODY = WarnedKey(DEFAULT_TENANT, "key", "sp_live")


async def key_of(services: Services, **terms: Any) -> str:
    key = new_key()
    made = NewKey(**{"tenant_id": DEFAULT_TENANT, "name": "k", "scopes": ["*"]} | terms)
    await services.database.transact(lambda session: make_key(session, key, made))
    return key


def client(app: FastAPI, key: str, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://api/v2", headers=bearing(key))


async def test_every_answer_says_where_the_caller_stands(
    app: FastAPI, services: Services, api: httpx.AsyncClient
) -> None:
    key = await key_of(services, limit_per_minute=10, limit_per_hour=100)
    async with client(app, key) as mine:
        answers = [
            await mine.get("/accounts"),
            await mine.get("/accounts/nobody"),
            await mine.post("/transfers", json={}),
        ]

    assert [answer.status_code for answer in answers] == [200, 404, 422]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["9", "8", "7"]
    for answer in answers:
        assert answer.headers["x-ratelimit-limit"] == "10"
        assert '"key-minute";q=10;w=60' in answer.headers["ratelimit-policy"]
        assert '"key-hour";q=100;w=3600' in answer.headers["ratelimit-policy"]
        assert '"tenant-minute";q=60000;w=60' in answer.headers["ratelimit-policy"]
        assert answer.headers["ratelimit"].startswith('"key-minute";r=')
    reset = int(answers[-1].headers["x-ratelimit-reset"])
    assert 0 < reset - utc_now().timestamp() <= 60


async def test_beyond_its_limit_a_key_is_told_to_wait(
    app: FastAPI, services: Services, api: httpx.AsyncClient
) -> None:
    key = await key_of(services, limit_per_minute=5)
    async with client(app, key) as mine:
        answers = [await mine.get("/accounts") for _ in range(8)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    refused = answers[-1]
    problem_of(refused, 429, "QUOTA_EXCEEDED")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
    assert (await api.get("/accounts")).status_code == 200


async def test_the_keys_of_a_tenant_share_its_limit(
    app: FastAPI, services: Services, api: httpx.AsyncClient
) -> None:
    body = {"id": "small", "name": "Small", "limit_per_minute": 6}
    first = (await api.post("/tenants", json=body)).json()["data"]["api_key"]
    second = await key_of(services, tenant_id="small")

    async with client(app, first) as one, client(app, second) as other:
        answers = [await who.get("/accounts") for _ in range(4) for who in (one, other)]

    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2


async def test_four_fifths_of_a_limit_are_told_once(
    app: FastAPI, services: Services, api: httpx.AsyncClient, key: str
) -> None:
    mine = await key_of(services, limit_per_minute=20)
    async with client(app, mine) as caller:
        for _ in range(19):
            await caller.get("/accounts")

    [warning] = (await api.get("/events?type=system.rate_limit_warning")).json()["data"]
    told = (await api.get(f"/events/{warning['id']}")).json()["data"]["data"]
    assert (told["limit"], told["used"], told["remaining"]) == (20, 16, 4)
    assert (told["api_key_id"], told["limit_type"]) == (mine.split("_")[2], "key-minute")


class Clock:
    """Time as the test lets it pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("per_minute", "steps_per_s"), [(100, 5), (1_200, 10)])
async def test_two_processes_let_in_together_what_one_limit_allows(
    database: Database, per_minute: int, steps_per_s: int
) -> None:
    """Three times what is allowed, for a minute, over two limiters with the same rows."""
    await House(database).tenant(DEFAULT_TENANT)
    clock = Clock()
    limit = Limit("key-minute", "somebody", Quota(per_minute, timedelta(minutes=1)))
    limiters = [Limiter(database, now=clock.now, clock=clock.monotonic) for _ in range(2)]
    at_once = round(1.5 * per_minute / 60 / steps_per_s + 0.5)
    accepted = 0
    for _ in range(60 * steps_per_s):
        clock.seconds += 1 / steps_per_s
        for limiter in limiters:
            for _ in range(at_once):
                accepted += (await limiter.ask([limit], SOMEBODY)).wait is None

    assert accepted == pytest.approx(2 * per_minute, rel=0.02)


async def test_not_every_request_writes(database: Database) -> None:
    house = House(database)
    await house.tenant(DEFAULT_TENANT)
    limiter = Limiter(database)
    limit = Limit("key-hour", "somebody", Quota(1_000, timedelta(hours=1)))
    written = 0
    transact = database.transact

    async def counting(work: Any) -> Any:
        nonlocal written
        written += 1
        return await transact(work)

    database.transact = counting  # type: ignore[method-assign]
    for _ in range(100):
        assert (await limiter.ask([limit], SOMEBODY)).wait is None

    assert written == 10


async def test_an_address_with_bad_keys_is_locked_out_and_nobody_else(
    app: FastAPI, services: Services, api: httpx.AsyncClient, key: str
) -> None:
    guess = key[:-40] + new_key()[-40:]
    real = f"sp_live_{key.split('_')[2]}_{guess.split('_')[3]}"
    statuses = []
    async with client(app, real) as guesser:
        for _ in range(25):
            statuses.append(
                (await guesser.get("/accounts", headers=bearing(new_key()))).status_code
            )
        locked = await guesser.get("/accounts", headers=bearing(key))

    assert statuses == [401] * 19 + [429] * 6
    problem_of(locked, 429, "LOCKED_OUT")
    assert 1 <= int(locked.headers["retry-after"]) <= 60
    assert (await api.get("/accounts")).status_code == 200


async def test_a_neighbour_who_has_shown_a_good_key_is_still_heard(
    app: FastAPI, services: Services, key: str
) -> None:
    async with client(app, key) as neighbour:
        assert (await neighbour.get("/accounts")).status_code == 200
        for _ in range(25):
            await neighbour.get("/accounts", headers=bearing(new_key()))

        assert (await neighbour.get("/accounts")).status_code == 200


async def test_a_lockout_holds_in_every_process_and_passes(
    app: FastAPI, services: Services, key: str
) -> None:
    other = create_app(
        Services(
            services.settings,
            services.database,
            services.temporal,
            services.vault,
            services.policy,
        )
    )
    async with client(app, new_key()) as here, client(other, key) as there:
        for _ in range(20):
            await here.get("/accounts")
        problem_of(await there.get("/accounts"), 429, "LOCKED_OUT")

        house = House(services.database)
        await house.execute(
            "UPDATE auth_failures SET locked_until = :past", past="2020-01-01 00:00:00.000000"
        )
        assert (await there.get("/accounts")).status_code == 200


async def test_the_owner_of_a_key_that_is_guessed_is_told(
    app: FastAPI, services: Services, api: httpx.AsyncClient, key: str
) -> None:
    id = key.split("_")[2]
    async with client(app, key) as guesser:
        for _ in range(20):
            guess = wrong_key_with(id)
            assert (await guesser.get("/accounts", headers=bearing(guess))).is_error

    [alert] = (await api.get("/events?type=system.security_alert")).json()["data"]
    told = (await api.get(f"/events/{alert['id']}")).json()["data"]["data"]
    assert (told["type"], told["ip"], told["actor"]) == ("failed_logins", "192.0.2.1", id)


def wrong_key_with(id: str) -> str:
    """A key of the right form, with somebody's id and a secret that is not theirs."""
    from domain.api_keys import _checksum

    body = f"sp_live_{id}_{new_key().split('_')[3]}"
    return f"{body}_{_checksum(body)}"


async def test_no_key_at_all_is_no_guess(app: FastAPI, services: Services, key: str) -> None:
    async with client(app, key) as caller:
        for _ in range(30):
            await caller.get("/accounts", headers={"Authorization": ""})

        async with services.database.read() as session:
            assert await session.get(AuthFailure, "192.0.2.1") is None
