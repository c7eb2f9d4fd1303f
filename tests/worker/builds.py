"""Two builds of one workflow whose histories do not fit each other."""

from datetime import timedelta

from temporalio import workflow


@workflow.defn(name="wait_and_say")
class FirstBuild:
    def __init__(self) -> None:
        self._told = False

    @workflow.signal
    def go_on(self) -> None:
        self._told = True

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._told)
        return "first"


@workflow.defn(name="wait_and_say")
class SecondBuild:
    def __init__(self) -> None:
        self._told = False

    @workflow.signal
    def go_on(self) -> None:
        self._told = True

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(milliseconds=10))  # A history of the first has no timer.
        await workflow.wait_condition(lambda: self._told)
        return "second"


@workflow.defn(name="wait_and_say")
class PatchedBuild:
    """The second, as it must be where runs of the first go on with it."""

    def __init__(self) -> None:
        self._told = False

    @workflow.signal
    def go_on(self) -> None:
        self._told = True

    @workflow.run
    async def run(self) -> str:
        if workflow.patched("sleep-first"):
            await workflow.sleep(timedelta(milliseconds=10))
        await workflow.wait_condition(lambda: self._told)
        return "second" if workflow.patched("sleep-first") else "first, on the second build"
