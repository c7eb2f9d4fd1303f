"""The kit finds what is wrong, and says it so that the saga's author knows what to do."""

from dataclasses import replace

import pytest
from temporalio.client import Client

from conformance import Report, open_kit
from conformance.worlds import World, needs, renaming, texts_in
from runtime.database import Database
from tests.conformance import flawed
from tests.tutorial import loyalty_bonus
from workflows.registry import all_sagas, saga_in
from workflows.saga_type import SagaType

FLAWED = saga_in(flawed)
SOUND = saga_in(loyalty_bonus)


@pytest.mark.slow
async def test_a_debit_without_a_compensation_is_named(temporal: Client, sqlite: Database) -> None:
    report = await check(temporal, sqlite, FLAWED)

    found = "step pay_referrer of saga flawed moved money and has no compensation"
    assert any(found in violation for violation in report.violations)
    assert any(
        "/USD was (1000000, 0) (posted, held), is (999900, 0)" in one for one in report.violations
    )


@pytest.mark.slow
async def test_a_sound_saga_has_nothing_wrong_with_it(temporal: Client, sqlite: Database) -> None:
    report = await check(temporal, sqlite, SOUND)

    assert report.violations == []
    assert report.points > 100


async def test_an_example_that_cannot_complete_is_named(temporal: Client, sqlite: Database) -> None:
    poor = replace(flawed.EXAMPLE, referrer_account="nobody")
    report = await check(temporal, sqlite, replace(FLAWED, example=poor))

    [violation] = report.violations
    assert "the example of saga flawed ends failed although nothing goes wrong" in violation


def test_every_id_of_an_example_is_another_in_each_world() -> None:
    world = World("ten_1", {flawed.EXAMPLE.from_account: "here"})

    assert ("from_account", "here") in texts_in(world.request(flawed.EXAMPLE))
    assert world.told("here/USD of ten_1") == f"{flawed.EXAMPLE.from_account}/USD of tenant"


def test_ids_are_found_wherever_they_are_in_a_request() -> None:
    request = {"items": [{"to_account": "a"}], "note": "b"}

    assert list(texts_in(request)) == [("to_account", "a"), ("note", "b")]
    assert renaming(request, {"a": "c"}) == {"items": [{"to_account": "c"}], "note": "b"}


def test_what_a_saga_needs_is_made_by_other_sagas() -> None:
    sagas = all_sagas()

    assert needed(sagas["reverse_transfer"]) == ["transfer"]
    assert needed(sagas["unfreeze_account"]) == ["freeze_account"]
    assert needed(sagas["transfer"]) == []


def needed(saga: SagaType) -> list[str]:
    return [one.name for one in needs(saga, saga.example, all_sagas())]


async def check(temporal: Client, sqlite: Database, saga: SagaType) -> Report:
    async with open_kit(temporal, sqlite.url, more=[saga]) as kit:
        return await kit.check(saga)


def test_what_a_module_declares_runs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loyalty_bonus, "BEFORE", ("open_account", "deposit"), raising=False)

    found = needs(SOUND, loyalty_bonus.EXAMPLE, all_sagas())

    assert [saga.name for saga in found] == ["open_account", "deposit"]
