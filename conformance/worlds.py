"""A world for one run of a saga, made from its example request alone.

Every run has a tenant of its own. Ids of the example stand for ids of that world: an account that
the example names is opened and given money, and a partner is on board; where the example names what
another saga makes (a `transfer_uuid`, a `position_id`), that saga's example is run first, and
before an `unfreeze_…` the `freeze_…`. A module whose saga needs more than that declares BEFORE, the
names of sagas whose examples must have run.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import new_id, new_uuid
from domain.ledger import (
    Direction,
    JournalEntry,
    Posting,
    bank_account_id,
    ledger_account_id,
)
from domain.money import EXPONENTS, Money
from domain.saga import SagaRequest
from runtime.database import Database
from storage import ledger
from storage.account_tables import AccountHolder
from storage.ledger_tables import Account
from storage.partner_tables import Partner
from storage.tables import Tenant
from workflows.saga_type import SagaType

ACCOUNT_FIELD = re.compile(r"(^|_)account(_uuid|_id)?$")
MADE_FIELD = re.compile(r"^(?P<noun>[a-z_]+?)_(uuid|id)$")
PARTNER_FIELD = "partner_id"
UUID = re.compile(
    r"(?P<prefix>[a-z]+_)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
RICH_MAJOR = 10_000
MAKES = ("{}", "open_{}", "create_{}", "{}_onboarding", "{}_transfer")


@dataclass
class World:
    """A tenant, and what the ids of examples are called there."""

    tenant_id: str
    ids: dict[str, str] = field(default_factory=dict)

    def request(self, example: SagaRequest) -> SagaRequest:
        """The example as it is asked for in this world, under a new business id."""
        renamed: SagaRequest = renaming(example, self.ids)
        return replace(renamed, id=new_uuid())

    def told(self, text: str) -> str:
        """What the example would call it: two worlds can be compared."""
        text = text.replace(self.tenant_id, "tenant")
        for name, here in self.ids.items():
            text = text.replace(here, name)
        return text


def renaming(found: Any, ids: Mapping[str, str]) -> Any:
    """The same value with every id replaced."""
    if isinstance(found, str):
        return ids.get(found, found)
    if is_dataclass(found) and not isinstance(found, type):
        changed = {
            one.name: renaming(getattr(found, one.name), ids) for one in fields(found) if one.init
        }
        return replace(found, **changed)
    if isinstance(found, tuple | list):
        return type(found)(renaming(one, ids) for one in found)
    if isinstance(found, dict):
        return {name: renaming(one, ids) for name, one in found.items()}
    return found


def texts_in(found: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a request, with the name of its field."""
    if isinstance(found, str):
        yield name, found
    elif is_dataclass(found) and not isinstance(found, type):
        for one in fields(found):
            yield from texts_in(getattr(found, one.name), one.name)
    elif isinstance(found, tuple | list):
        for one in found:
            yield from texts_in(one, name.removesuffix("s"))
    elif isinstance(found, dict):
        for key, one in found.items():
            yield from texts_in(one, str(key))


async def make_worlds(
    database: Database, examples: Sequence[SagaRequest], count: int
) -> list[World]:
    """Tenants with the accounts that these requests name, each rich in every asset they name."""
    texts = [found for example in examples for found in texts_in(example)]
    ids = dict.fromkeys(text for _, text in texts if UUID.fullmatch(text))
    accounts = [text for name, text in texts if text in ids and ACCOUNT_FIELD.search(name)]
    assets = sorted({"USD", *(text for _, text in texts if text in EXPONENTS)})
    partners = dict.fromkeys(text for name, text in texts if name == PARTNER_FIELD)
    worlds = [World(new_id("ten"), {text: new_name(text) for text in ids}) for _ in range(count)]

    async def work(session: AsyncSession) -> None:
        for world in worlds:
            session.add(Tenant(id=world.tenant_id, name="conformance"))
            await session.flush()
            await _open_accounts(session, world, list(dict.fromkeys(accounts)), assets)
            session.add_all(_on_board(world, name) for name in partners)

    await database.transact(work)
    return worlds


def new_name(text: str) -> str:
    """Another id of the same form: a UUID, or one behind a prefix."""
    found = UUID.fullmatch(text)
    assert found is not None
    return f"{found['prefix'] or ''}{new_uuid()}"


def _on_board(world: World, name: str) -> Partner:
    """A partner that may have everything."""
    return Partner(
        id=world.ids[name],
        tenant_id=world.tenant_id,
        application_id=world.ids[name],
        organization_name="conformance",
        tier="enterprise",
        status="active",
        workflow_id="conformance",
    )


async def _open_accounts(
    session: AsyncSession, world: World, accounts: Sequence[str], assets: Sequence[str]
) -> None:
    """Accounts of customers whom the bank knows well."""
    tenant_id = world.tenant_id
    for name in accounts:
        user = new_uuid()
        session.add(Account(id=world.ids[name], tenant_id=tenant_id, user_uuid=user, name="one"))
        session.add(
            AccountHolder(
                tenant_id=tenant_id,
                user_uuid=user,
                full_name="Known Well",
                address="1 Example Street, Exampleton",
                document_id="X0000000",
                provider="conformance",
            )
        )
    await session.flush()
    legs = [leg for asset in assets for leg in _given(world, accounts, asset)]
    if legs:
        entry = JournalEntry(f"{world.tenant_id}/given", "deposit", tuple(legs))
        await ledger.post(session, entry, tenant_id=world.tenant_id)


def _given(world: World, accounts: Sequence[str], asset: str) -> Iterator[Posting]:
    """What the bank gives each account, and all of it out of its cash."""
    rich = RICH_MAJOR * 10 ** EXPONENTS[asset]
    for name in accounts:
        owned = ledger_account_id(world.ids[name], asset)
        yield Posting(owned, Direction.CREDIT, Money(rich, asset))
    if accounts:
        cash = bank_account_id(world.tenant_id, "cash", asset)
        yield Posting(cash, Direction.DEBIT, Money(rich * len(accounts), asset))


def needs(saga: SagaType, example: SagaRequest, sagas: Mapping[str, SagaType]) -> list[SagaType]:
    """Which sagas must have run before this one's example makes sense, in order."""
    opposite = sagas.get(saga.name.removeprefix("un")) if saga.name.startswith("un") else None
    declared: tuple[str, ...] = getattr(inspect.getmodule(saga.workflow), "BEFORE", ())
    found = [sagas[name] for name in declared]
    found += [opposite] if opposite is not None else []
    for name, _ in texts_in(example):
        made = MADE_FIELD.match(name)
        if made is None or name == PARTNER_FIELD or ACCOUNT_FIELD.search(name):
            continue
        for pattern in MAKES:
            maker = sagas.get(pattern.format(made["noun"]))
            if maker is not None and maker is not saga and maker not in found:
                found.append(maker)
                break
    return found
