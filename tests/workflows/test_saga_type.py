"""A saga's module is read, and what is wrong with it is said in words that help."""

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest

from workflows.registry import all_sagas, describe, saga_in

GOOD = '''
"""Lend: set money aside and hand it over.

    hold ──► settle ★
      │         │
   release ◄─ refused
"""

from dataclasses import dataclass
from temporalio import workflow
from activities.ports import LedgerActivities
from domain.saga import SagaRequest
from workflows.saga import Saga
from workflows.steps import Step, named

HOLD = Step(LedgerActivities.place_hold, compensation=LedgerActivities.release_hold)
SETTLE = Step(LedgerActivities.settle_hold)

STEPS = (HOLD, SETTLE)


@dataclass(frozen=True, kw_only=True)
class LendRequest(SagaRequest):
    to_account: str


EXAMPLE = LendRequest(to_account="a")


@workflow.defn(name="lend")
class Lend:
    @workflow.run
    async def run(self, request: LendRequest) -> dict:
        async with Saga(STEPS) as saga:
            await saga.run(HOLD, None)
            await saga.pivot(SETTLE, None)
        return saga.result
'''

FLAWS = [
    ("    hold ──► settle ★\n", "    hold, then settle\n", "must draw its steps and the way back"),
    ('name="lend"', 'name="borrow"', 'write @workflow.defn(name="lend"), not "borrow"'),
    ("@workflow.defn", "# @workflow.defn", "one class with @workflow.defn, and defines 0"),
    ("STEPS = (HOLD, SETTLE)", "PLAN = (HOLD, SETTLE); STEPS = None", "must define STEPS"),
    ("STEPS = (HOLD, SETTLE)", "STEPS = ()", "has no steps"),
    ("STEPS = (HOLD, SETTLE)", "STEPS = (HOLD,)", "runs SETTLE, which is not planned"),
    ("await saga.run(HOLD, None)", "pass", "never runs HOLD"),
    ("STEPS = (HOLD, SETTLE)", "STEPS = (HOLD, SETTLE, HOLD)", "2 steps called 'place_hold'"),
    ('EXAMPLE = LendRequest(to_account="a")', "", "must define EXAMPLE, a LendRequest"),
    ('EXAMPLE = LendRequest(to_account="a")', "EXAMPLE = SagaRequest()", "must define EXAMPLE"),
    ("(SagaRequest):", ":", "a dataclass that inherits SagaRequest"),
    ("frozen=True, ", "", "cannot inherit non-frozen"),
    ("request: LendRequest", "request: LendRequest, more: int", "takes 2"),
]

numbers = itertools.count()


def test_a_good_module_is_read(tmp_path: Path) -> None:
    saga = saga_in(module_of(tmp_path, GOOD))

    assert saga.name == "lend"
    assert [step.name for step in saga.steps] == ["place_hold", "settle_hold"]


@pytest.mark.parametrize(("good", "bad", "complaint"), FLAWS)
def test_what_is_wrong_with_a_module_is_said(
    tmp_path: Path, good: str, bad: str, complaint: str
) -> None:
    with pytest.raises(TypeError) as error:
        saga_in(module_of(tmp_path, GOOD.replace(good, bad)))

    assert complaint in str(error.value)


def test_a_step_that_only_looks_need_not_be_planned(tmp_path: Path) -> None:
    looking = GOOD.replace(
        "await saga.run(HOLD, None)",
        "await saga.look(WEATHER, None)\n" + " " * 12 + "await saga.run(HOLD, None)",
    )
    looking = looking.replace("STEPS =", "WEATHER = named(SETTLE, 'weather')\nSTEPS =")

    assert len(saga_in(module_of(tmp_path, looking)).steps) == 2


@pytest.mark.parametrize("name", sorted(all_sagas()))
def test_every_saga_can_be_described(name: str) -> None:
    described = describe(all_sagas()[name])

    assert described.description[-1] in ".?"
    assert "►" in described.diagram
    assert described.schema["type"] == "object"
    assert described.example


def test_a_description_names_each_way_back() -> None:
    described = describe(all_sagas()["transfer"])

    ways_back = {step.name: step.compensation for step in described.steps}
    assert ways_back["hold_source"] == "release_source"
    assert ways_back["settle_transfer"] is None


def module_of(folder: Path, source: str) -> ModuleType:
    folder = folder / str(next(numbers))
    folder.mkdir()
    path = folder / "lend.py"
    path.write_text(source.lstrip())
    spec = importlib.util.spec_from_file_location("lend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lend"] = module
    spec.loader.exec_module(module)
    return module
