"""Transaction monitoring: what has moved, judged by every rule, once; what breaks one is told of.

    check ──► judge ★ ──► (freeze each severe case) ──► report ──► judge the next …
      │
    refused, cancelled: nothing was judged, and nothing is told

Judging is the pivot: a posting that was judged is never judged again by the same rule, so what it
came to must be told. A freeze that is refused leaves the account flagged.
"""

from dataclasses import replace
from typing import Any

from temporalio import workflow

from activities.ports import MonitoringActivities
from domain.account import FreezeAccountRequest
from domain.monitoring import Case, MonitoringRequest, ViolationReport
from workflows.saga import Saga
from workflows.steps import Step

CHECK = Step(MonitoringActivities.check_scope)
JUDGE = Step(MonitoringActivities.judge_postings)
REPORT = Step(MonitoringActivities.report_violations)

STEPS = (CHECK, JUDGE, REPORT)
EXAMPLE = MonitoringRequest(account_uuid="0199c5a2-0000-7000-8000-000000000001")
EXAMPLES = (replace(EXAMPLE, on_violation="freeze"),)
BEARS_FAILED_CHILDREN = EXAMPLES

# Twenty accounts each: the rest is the next run's.
ROUNDS_MAX = 50


@workflow.defn(name="transaction_monitoring")
class PostingMonitoring:
    @workflow.run
    async def run(self, request: MonitoringRequest) -> dict[str, Any]:
        violations, frozen = 0, 0
        async with Saga(STEPS, subject=("monitoring", request.id)) as saga:
            await saga.run(CHECK, request)
            judged = await saga.pivot(JUDGE, request)
            for number in range(1, ROUNDS_MAX + 1):
                accounts = await _freeze(saga, request, judged.severe, number)
                if judged.violations:
                    report = ViolationReport(request, accounts)
                    await saga.run(REPORT, report, name=f"{REPORT.name}-{number}")
                violations, frozen = violations + judged.violations, frozen + len(accounts)
                if not judged.more or number == ROUNDS_MAX:
                    break
                judged = await saga.run(JUDGE, request, name=f"{JUDGE.name}-{number + 1}")
            saga.result = {"violations": violations, "frozen": frozen, "more": judged.more}
        return saga.result


async def _freeze(
    saga: Saga, request: MonitoringRequest, cases: tuple[Case, ...], number: int
) -> tuple[str, ...]:
    """The accounts that were frozen. After the pivot nothing turns back for one that was not."""
    if request.on_violation == "flag":
        return ()
    frozen = []
    for place, case in enumerate(cases, start=1):
        freeze = FreezeAccountRequest(
            id=f"{request.id}-{number}-{place}",
            account_uuid=case.account_id,
            reason_code="monitoring_violation",
            source="compliance",
            case_id=case.case_id,
        )
        if (await saga.ask("freeze_account", freeze)).failure is None:
            frozen.append(case.account_id)
    return tuple(frozen)
