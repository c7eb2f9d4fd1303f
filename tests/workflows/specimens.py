"""Sagas that exist to be tested: one for each thing that the engine can do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

from domain.saga import SagaRequest, StepCall, Undone
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named


@dataclass(frozen=True, kw_only=True)
class Deed(SagaRequest):
    """What every specimen is asked for."""

    rounds: int = 0


class Deeds(ABC):
    """Something to do, and its undoing, several times over."""

    @activity.defn
    @abstractmethod
    async def one(self, call: StepCall[Deed]) -> str: ...

    @activity.defn
    @abstractmethod
    async def undo_one(self, call: StepCall[Deed]) -> Undone: ...

    @activity.defn
    @abstractmethod
    async def two(self, call: StepCall[Deed]) -> None: ...

    @activity.defn
    @abstractmethod
    async def undo_two(self, call: StepCall[Deed]) -> Undone: ...

    @activity.defn
    @abstractmethod
    async def three(self, call: StepCall[Deed]) -> None: ...

    @activity.defn
    @abstractmethod
    async def four(self, call: StepCall[Deed]) -> None: ...

    @activity.defn
    @abstractmethod
    async def five(self, call: StepCall[Deed]) -> str: ...

    @activity.defn
    @abstractmethod
    async def weather(self, call: StepCall[Deed]) -> str: ...


SOON = timedelta(milliseconds=20)
PATIENCE = timedelta(milliseconds=300)

ONE = Step(Deeds.one, compensation=Deeds.undo_one, retry_after=SOON, stuck_after=PATIENCE)
TWO = Step(Deeds.two, compensation=Deeds.undo_two, retry_after=SOON)
OUTSIDE = Step(
    Deeds.two,
    compensation=Deeds.undo_two,
    outside=True,
    undo_first=True,
    attempts_max=3,
    retry_after=SOON,
)
OUTER = replace(ONE, outside=True)
THREE = Step(Deeds.three, retry_after=SOON)
FOUR = Step(Deeds.four, retry_after=SOON, stuck_after=PATIENCE)
FIVE = Step(Deeds.five, retry_after=SOON)
WEATHER = Step(Deeds.weather, outside=True, retry_after=SOON)


@workflow.defn(name="straight")
class Straight:
    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE, TWO, THREE, FOUR, FIVE), subject=("deed", deed.id)) as saga:
            said = await saga.run(ONE, deed)
            await saga.run(TWO, deed)
            await saga.pivot(THREE, deed)
            await saga.run(FOUR, deed)
            saga.result = {"one": said, "five": await saga.run(FIVE, deed)}
        return saga.result


@workflow.defn(name="abroad")
class Abroad:
    """With an outside party, and a deadline that the party may let pass."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE, OUTSIDE, THREE), deadline=timedelta(seconds=1)) as saga:
            await saga.run(ONE, deed)
            await saga.run(OUTSIDE, deed)
            await saga.pivot(THREE, deed)
        return saga.result


@workflow.defn(name="late")
class Late:
    """Its deadline may pass before its only step."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((OUTSIDE,), deadline=timedelta(milliseconds=300)) as saga:
            await saga.pivot(OUTSIDE, deed)
        return saga.result


@workflow.defn(name="called")
class Called:
    """Its first step is outside, and there is no deadline."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((OUTSIDE, THREE)) as saga:
            await saga.run(OUTSIDE, deed)
            await saga.pivot(THREE, deed)
        return saga.result


@workflow.defn(name="abreast")
class Abreast:
    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((OUTER, OUTSIDE, THREE)) as saga:
            await saga.together(saga.run(OUTER, deed), self._two(saga, deed))
            await saga.run(THREE, deed)
        return saga.result

    async def _two(self, saga: Saga, deed: Deed) -> None:
        await saga.run(OUTSIDE, deed)
        await saga.run(FOUR, deed)


@workflow.defn(name="rounds")
class Rounds:
    """A bounded number at a time."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((OUTSIDE,)) as saga:
            rounds = [saga.run(OUTSIDE, deed, name=f"two-{n}") for n in range(deed.rounds)]
            await saga.together(*rounds, at_once=2)
        return saga.result


@workflow.defn(name="parent")
class Parent:
    """The child can be reversed: by another `straight`."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        back = ("straight", Deed(id=f"{deed.id}-back"))
        async with Saga((CHILD, FOUR)) as saga:
            await saga.child("straight", Deed(id=f"{deed.id}-there"), name="there", undo=back)
            await saga.run(FOUR, deed)
        return saga.result


@workflow.defn(name="last_child")
class LastChild:
    """The child cannot be reversed: it is the pivot."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((OUTSIDE, CHILD), deadline=timedelta(seconds=20)) as saga:
            await saga.run(OUTSIDE, deed)
            await saga.child("called", Deed(id=f"{deed.id}-child"), step=named(CHILD, "child"))
            await saga.run(FIVE, deed)
        return saga.result


@workflow.defn(name="best_effort")
class BestEffort:
    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        back = ("straight", Deed(id=f"{deed.id}-back"))
        async with Saga((CHILD, FIVE)) as saga:
            child = Deed(id=f"{deed.id}-there")
            outcome = await saga.try_child("straight", child, name="there", undo=back)
            await saga.run(FIVE, deed)
            saga.result = {"child": outcome.failure.code if outcome.failure else "completed"}
        return saga.result


@workflow.defn(name="approved")
class Approved:
    """Waits for a person before its first step, and for a signal after its pivot."""

    def __init__(self) -> None:
        self._arrived = False

    @workflow.signal
    def arrived(self) -> None:
        self._arrived = True

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE, THREE)) as saga:
            patience = timedelta(milliseconds=500) if deed.rounds == 0 else timedelta(minutes=1)
            approval = await saga.approval("large_amount", within=patience)
            await saga.run(ONE, deed)
            await saga.pivot(THREE, deed)
            await saga.wait_for(lambda: self._arrived, what="arrival")
            saga.result = {"approved_by": approval.by}
        return saga.result


@workflow.defn(name="careless")
class Careless:
    """Waits after its pivot with its own means, which a cancel reaches."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE, THREE)) as saga:
            await saga.run(ONE, deed)
            await saga.pivot(THREE, deed)
            await workflow.sleep(timedelta(minutes=5))
        return saga.result


@workflow.defn(name="watch")
class Watch:
    """Looks at the world for ever, in runs of two rounds each."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE,), subject=("deed", deed.id)) as saga:
            for number in range(deed.rounds, deed.rounds + 2):
                weather = await saga.look(WEATHER, deed)
                if weather == "storm":
                    await saga.run(ONE, deed, name=f"one-{number}")
                    break
                await saga.sleep(SOON, summary="until the next look")
            else:
                saga.continue_as_new(Deed(id=deed.id, rounds=deed.rounds + 2))
        return saga.result


@workflow.defn(name="given_back")
class GivenBack:
    """An outside party gives back what the pivot did."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE, OUTSIDE, FIVE)) as saga:
            await saga.run(ONE, deed)
            await saga.pivot(OUTSIDE, deed)
            await saga.run(FIVE, deed)
            saga.turn_back("rail_timeout", "it came back")
        return saga.result


@workflow.defn(name="restless")
class Restless:
    """Pauses until it is called, or until its time is up."""

    def __init__(self) -> None:
        self._called = False

    @workflow.signal
    def call(self) -> None:
        self._called = True

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        pause = timedelta(minutes=5) if deed.rounds else SOON
        async with Saga((ONE,)) as saga:
            await saga.pause(pause, until=lambda: self._called, summary="until it is called")
            await saga.run(ONE, deed)
            saga.result = {"called": self._called}
        return saga.result


@workflow.defn(name="buggy")
class Buggy:
    """Its author made a mistake after the first step."""

    @workflow.run
    async def run(self, deed: Deed) -> dict[str, Any]:
        async with Saga((ONE,)) as saga:
            await saga.run(ONE, deed)
            saga.result = {"rounds": 1 // deed.rounds}
        return saga.result


SPECIMENS: tuple[type, ...] = (
    Straight,
    Abroad,
    Late,
    Called,
    Abreast,
    Rounds,
    Parent,
    LastChild,
    BestEffort,
    Approved,
    Careless,
    Watch,
    GivenBack,
    Restless,
    Buggy,
)
