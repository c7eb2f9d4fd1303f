"""What one looks at after a run: its tenant's books and stories, so that two can be compared."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from conformance.worlds import World
from domain.saga import UndoStatus
from runtime.database import Database
from storage.ledger_tables import Account, LedgerAccount
from storage.tables import Event, SagaRun, SagaStep

TENANTS_AT_ONCE = 500
Money = tuple[int, int]
NOTHING: Money = (0, 0)


@dataclass(frozen=True)
class Books:
    """Each ledger account's posted and held money, under the names of the example."""

    money: dict[str, Money] = field(default_factory=dict)
    customers: frozenset[str] = frozenset()
    statuses: dict[str, str] = field(default_factory=dict)

    def not_as_before(self, before: "Books") -> list[str]:
        """What differs for customers, whose accounts must be as they were."""
        money = [
            f"{name} was {before.money.get(name, NOTHING)} (posted, held), is {now}"
            for name, now in self.money.items()
            if name in self.customers and now != before.money.get(name, NOTHING)
        ]
        return money + [
            f"account {name} was {status}, is {self.statuses.get(name)}"
            for name, status in before.statuses.items()
            if self.statuses.get(name) != status
        ]

    def still_held(self) -> list[str]:
        return [f"{name} has {held} held" for name, (_, held) in self.money.items() if held]

    def differs(self, other: "Books") -> list[str]:
        return [
            f"{name} has {self.money.get(name, NOTHING)} (posted, held) instead of "
            f"{other.money.get(name, NOTHING)}"
            for name in sorted({*self.money, *other.money})
            if self.money.get(name, NOTHING) != other.money.get(name, NOTHING)
        ]


@dataclass(frozen=True)
class Story:
    """One workflow's run as the database has it."""

    workflow_id: str
    type: str
    state: str
    failure: dict[str, Any]
    events: tuple[str, ...]
    steps: dict[str, str]
    rolled_back: bool


@dataclass(frozen=True)
class Seen:
    """All that there is to see of one world. Equal if nothing has changed."""

    books: Books
    stories: dict[str, Story]
    outside_stories: tuple[str, ...] = ()

    def told(self) -> Counter[tuple[str, str]]:
        """How often which event was told by which type of saga, or outside of any story."""
        in_stories = Counter(
            (story.type, event) for story in self.stories.values() for event in story.events
        )
        return in_stories + Counter(("nobody's story", event) for event in self.outside_stories)


async def see(database: Database, worlds: Sequence[World]) -> dict[str, Seen]:
    """Look at many worlds at once, which costs hardly more than at one. By tenant id."""
    found: dict[str, Seen] = {}
    for start in range(0, len(worlds), TENANTS_AT_ONCE):
        some = {world.tenant_id: world for world in worlds[start : start + TENANTS_AT_ONCE]}
        async with database.read() as session:
            looking = _Looking(session, some)
            books, events = await looking.books(), await looking.events()
            stories = await looking.stories(events)
        found |= {
            tenant_id: Seen(books[tenant_id], stories[tenant_id], _outside(events[tenant_id]))
            for tenant_id in some
        }
    return found


@dataclass(frozen=True)
class _Looking:
    session: AsyncSession
    worlds: dict[str, World]

    async def _rows(self, query: Any, of_tenant: Any) -> dict[str, list[Any]]:
        """Rows whose first column is the tenant, by tenant."""
        found: dict[str, list[Any]] = defaultdict(list)
        for row in await self.session.execute(query.where(of_tenant.in_(self.worlds))):
            found[row[0]].append(row)
        return found

    async def books(self) -> dict[str, Books]:
        ledger = LedgerAccount
        tenant = col(ledger.tenant_id)
        posted = col(ledger.credits_posted) - col(ledger.debits_posted)
        held = col(ledger.debits_pending) + col(ledger.credits_pending)
        money = await self._rows(
            select(tenant, col(ledger.id), col(ledger.account_id), posted, held), tenant
        )
        owner = col(Account.tenant_id)
        accounts = await self._rows(select(owner, col(Account.id), col(Account.status)), owner)
        return {
            tenant_id: Books(
                money={world.told(row[1]): (row[3], row[4]) for row in money[tenant_id]},
                customers=frozenset(world.told(row[1]) for row in money[tenant_id] if row[2]),
                statuses={world.told(row[1]): row[2] for row in accounts[tenant_id]},
            )
            for tenant_id, world in self.worlds.items()
        }

    async def events(self) -> dict[str, list[Row[Any]]]:
        teller = col(Event.tenant_id)
        query = select(teller, col(Event.workflow_id), col(Event.type))
        return await self._rows(query.order_by(col(Event.sequence)), teller)

    async def stories(self, events: dict[str, list[Row[Any]]]) -> dict[str, dict[str, Story]]:
        run, step = SagaRun, SagaStep
        tenant = col(run.tenant_id)
        runs = await self._rows(
            select(tenant, col(run.workflow_id), col(run.type), col(run.state), col(run.failure)),
            tenant,
        )
        steps = await self._rows(
            select(
                tenant, col(step.workflow_id), col(step.name), col(step.state), col(step.undone)
            ).join(run, col(run.workflow_id) == col(step.workflow_id)),
            tenant,
        )
        return {
            tenant_id: {
                one.workflow_id: _story(one, events[tenant_id], steps[tenant_id])
                for one in runs[tenant_id]
            }
            for tenant_id in self.worlds
        }


def _outside(events: list[Row[Any]]) -> tuple[str, ...]:
    return tuple(sorted(event.type for event in events if event.workflow_id is None))


def _story(run: Row[Any], events: list[Row[Any]], steps: list[Row[Any]]) -> Story:
    mine = [step for step in steps if step.workflow_id == run.workflow_id]
    return Story(
        workflow_id=run.workflow_id,
        type=run.type,
        state=run.state,
        failure=run.failure or {},
        events=tuple(event.type for event in events if event.workflow_id == run.workflow_id),
        steps={step.name: step.state for step in mine},
        rolled_back=any(_was_undone(step.undone) for step in mine),
    )


def _was_undone(undone: Any) -> bool:
    found = json.loads(undone) if isinstance(undone, str) else undone
    return bool(found) and found["status"] != UndoStatus.NOOP
