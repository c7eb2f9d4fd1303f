"""The ledger against a model that fits on a page: whatever is asked, both say the same.

The model knows accounts, holds and entries as plain values, and no concurrency, no database, no
versions. After each step the books are audited as a whole.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.errors import DuplicateRequest, InsufficientFunds, Refused, StepFenced
from runtime.database import Database
from storage.audit import check_books
from tests.conftest import fresh_database
from tests.storage.books import balance, open_account, place, release, settle, transfer

Result = TypeVar("Result")

# Long runs on demand: LEDGER_EXAMPLES=500 for twenty thousand steps.
EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "10"))
STEPS = 40


@pytest.mark.slow
def test_the_ledger_says_what_the_model_says(database_url: str) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        fresh = fresh_database(database_url)
        database = runner.run(fresh.__aenter__())
        bank = Bank(runner, database)
        enough = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)

        run_state_machine_as_test(
            lambda: LedgerMachine(bank),  # type: ignore[arg-type]  # A factory is as good.
            settings=enough,
        )

        runner.run(fresh.__aexit__(None, None, None))
    # Rules that never met their case prove nothing.
    for outcome in ("done", "nothing", "InsufficientFunds", "DuplicateRequest", "StepFenced"):
        assert bank.seen[outcome] > 0, f"no {outcome} in {bank.seen}"


accounts = Bundle("accounts")
entries = Bundle("entries")
holds = Bundle("holds")
amounts = st.integers(1, 60)


@dataclass
class ModelHold:
    account: str
    minor: int
    state: str = "placed"


class Model:
    """What the books should say."""

    def __init__(self) -> None:
        self.posted: dict[str, int] = {}
        self.holds: dict[str, ModelHold] = {}
        self.entries: dict[str, tuple[str, str, int]] = {}

    def held(self, account: str) -> int:
        return sum(
            hold.minor
            for hold in self.holds.values()
            if hold.account == account and hold.state == "placed"
        )

    def transfer(self, entry_id: str, source: str, target: str, minor: int) -> str:
        known = self.entries.get(entry_id)
        if known is not None:
            return "nothing" if known == (source, target, minor) else DuplicateRequest.__name__
        if self.posted[source] - self.held(source) < minor:
            return InsufficientFunds.__name__
        self._post(entry_id, source, target, minor)
        return "done"

    def place(self, hold_id: str, account: str, minor: int) -> str:
        known = self.holds.get(hold_id)
        if known is not None:
            if known.minor and (known.account, known.minor) != (account, minor):
                return DuplicateRequest.__name__
            return StepFenced.__name__ if known.state == "released" else "nothing"
        if self.posted[account] - self.held(account) < minor:
            return InsufficientFunds.__name__
        self.holds[hold_id] = ModelHold(account, minor)
        return "done"

    def release(self, hold_id: str, account: str) -> str:
        known = self.holds.get(hold_id)
        if known is None:
            self.holds[hold_id] = ModelHold(account, 0, "released")
            return "nothing"
        if known.account != account or known.state == "settled":
            return DuplicateRequest.__name__
        was_placed, known.state = known.state == "placed", "released"
        return "done" if was_placed else "nothing"

    def settle(self, hold_id: str, target: str, minor: int) -> str:
        known = self.holds.get(hold_id)
        source = known.account if known else "nobody"
        posted = self.entries.get(f"{hold_id}/settle")
        if posted is not None:
            return "nothing" if posted == (source, target, minor) else DuplicateRequest.__name__
        if known is None or known.state != "placed":
            return DuplicateRequest.__name__
        known.state = "settled"
        self._post(f"{hold_id}/settle", source, target, minor)
        return "done"

    def _post(self, entry_id: str, source: str, target: str, minor: int) -> None:
        self.entries[entry_id] = (source, target, minor)
        self.posted[source] -= minor
        self.posted[target] += minor


@dataclass
class Bank:
    """The real thing, one for all examples: each has accounts of its own in it."""

    runner: asyncio.Runner
    database: Database
    seen: Counter[str] = field(default_factory=Counter)
    examples: int = 0

    def do(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)


class LedgerMachine(RuleBasedStateMachine):
    """Asks both the same."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.database = bank.database
        self.model = Model()
        self.made = 0
        bank.examples += 1

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{self.bank.examples}-{kind}{self.made}"

    @initialize(target=accounts, funds=st.integers(0, 200))
    def first_account(self, funds: int) -> str:
        return self.open(funds)

    @rule(target=accounts, funds=st.integers(0, 200))
    def another_account(self, funds: int) -> str:
        return self.open(funds)

    def open(self, funds: int) -> str:
        account = self.name("a")
        self.bank.do(open_account(self.database, account, funds))
        self.model.posted[account] = funds
        return account

    @rule(target=entries, source=accounts, to=accounts, minor=amounts)
    def transfer(self, source: str, to: str, minor: int) -> tuple[str, str, str, int]:
        entry = (self.name("t"), source, to, minor)
        self.same(transfer(self.database, *entry), self.model.transfer(*entry))
        return entry

    @rule(entry=entries)
    def transfer_again(self, entry: tuple[str, str, str, int]) -> None:
        self.same(transfer(self.database, *entry), self.model.transfer(*entry))

    @rule(entry=entries, minor=amounts)
    def transfer_under_the_same_id(self, entry: tuple[str, str, str, int], minor: int) -> None:
        other = (*entry[:3], minor)
        self.same(transfer(self.database, *other), self.model.transfer(*other))

    @rule(target=holds, account=accounts, minor=amounts)
    def place(self, account: str, minor: int) -> tuple[str, str, int]:
        hold = (self.name("h"), account, minor)
        self.same(place(self.database, *hold), self.model.place(*hold))
        return hold

    @rule(hold=holds)
    def place_again(self, hold: tuple[str, str, int]) -> None:
        self.same(place(self.database, *hold), self.model.place(*hold))

    @rule(hold=holds, account=accounts, minor=amounts)
    def place_under_the_same_id(self, hold: tuple[str, str, int], account: str, minor: int) -> None:
        other = (hold[0], account, minor)
        self.same(place(self.database, *other), self.model.place(*other))

    @rule(target=holds, account=accounts, minor=amounts)
    def call_off_what_never_came(self, account: str, minor: int) -> tuple[str, str, int]:
        hold = (self.name("h"), account, minor)
        self.same(release(self.database, *hold[:2]), self.model.release(*hold[:2]))
        return hold

    @rule(hold=holds)
    def release(self, hold: tuple[str, str, int]) -> None:
        self.same(release(self.database, *hold[:2]), self.model.release(*hold[:2]))

    @rule(hold=holds, to=accounts, share=st.integers(1, 100))
    def settle(self, hold: tuple[str, str, int], to: str, share: int) -> None:
        hold_id, account, minor = hold
        known = self.model.holds.get(hold_id)
        source = known.account if known else account
        minor = max(1, (known.minor if known else minor) * share // 100)
        asked = settle(self.database, hold_id, source, to, minor)
        self.same(asked, self.model.settle(hold_id, to, minor))

    def same(self, asked: Coroutine[Any, Any, Any], expected: str) -> None:
        try:
            outcome = "done" if self.bank.do(asked) else "nothing"
        except Refused as refusal:
            outcome = type(refusal).__name__
        assert outcome == expected
        self.bank.seen[expected] += 1

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        for account, posted in self.model.posted.items():
            found = self.bank.do(balance(self.database, account))
            assert found == (posted, self.model.held(account))

    @invariant()
    def the_books_are_whole(self) -> None:
        async def audit() -> list[str]:
            async with self.database.read() as session:
                return [str(found) for found in await check_books(session)]

        assert self.bank.do(audit()) == []
