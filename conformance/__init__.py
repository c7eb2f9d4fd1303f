"""The proof that comes for free: every saga, at every point where something can go wrong.

    from conformance import conform

    async def test_nothing_that_goes_wrong_loses_money() -> None:
        report = await conform("collect_dues")
        assert not report.violations, report.violations

From a saga's example request alone the kit makes a world for it, runs it once to see which
activities it comes to, and then once more for every point of each of them and every fault there:
an error, a refusal, an attempt that is never answered, a process that dies, a cancel. Afterwards
it asks the books, the stories and the engine whether all is as it must be.

A saga's module may say more, where its EXAMPLE is not enough:

    BEFORE                 names of the sagas whose examples must have run first
    EXAMPLES               more requests, so that together they come to every step
    BEARS_FAILED_CHILDREN  those of them that complete although a child failed
"""

from conformance.kit import Kit, Report, open_kit
from conformance.standalone import conform

__all__ = ["Kit", "Report", "conform", "open_kit"]
