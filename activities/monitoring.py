"""Judge postings: mark how far each rule has come, keep what breaks it, and tell of it."""

from datetime import timedelta

from temporalio import activity

from activities.ports import MonitoringActivities
from activities.steps import Steps, Unit
from domain.errors import AccountNotFound
from domain.ids import new_id
from domain.monitoring import (
    RULES,
    SEVERE,
    Case,
    Finding,
    Judged,
    MonitoringRequest,
    RuleId,
    Unjudged,
    ViolationReport,
    WatchRequest,
    judge,
)
from domain.saga import StepCall
from runtime.database import Database
from storage import accounts, monitoring
from storage.monitoring import Owned, Scope
from storage.types import utc_now

ACCOUNTS_AT_ONCE = 20
# An entry may be committed a little after the time that it says.
OVERLAP = timedelta(minutes=1)


class SqlMonitoringActivities(MonitoringActivities):
    def __init__(self, database: Database, steps: Steps) -> None:
        self._database = database
        self._steps = steps

    @activity.defn
    async def check_scope(self, call: StepCall[MonitoringRequest]) -> None:
        await self._steps.perform(call, _check)

    @activity.defn
    async def judge_postings(self, call: StepCall[MonitoringRequest]) -> Judged:
        return await self._steps.perform(call, _judge)

    @activity.defn
    async def report_violations(self, call: StepCall[ViolationReport]) -> int:
        return await self._steps.perform(call, _report)

    @activity.defn
    async def find_unjudged(self, call: StepCall[WatchRequest]) -> Unjudged:
        now, before = utc_now(), call.request.looked_at
        scope = Scope(call.saga.tenant_id, since=before - OVERLAP if before else None)
        async with self._database.read() as session:
            found = await monitoring.unjudged(session, scope, most=1)
        return Unjudged(bool(found), now)


async def _check(unit: Unit, call: StepCall[MonitoringRequest]) -> None:
    account_id = call.request.account_uuid
    if account_id is None:
        return
    if await accounts.find(unit.session, call.saga.tenant_id, account_id) is None:
        raise AccountNotFound(account_id)


async def _judge(unit: Unit, call: StepCall[MonitoringRequest]) -> Judged:
    request = call.request
    scope = Scope(
        call.saga.tenant_id, request.account_uuid, request.moved_since, request.moved_until
    )
    owners = await monitoring.unjudged(unit.session, scope, most=ACCOUNTS_AT_ONCE + 1)
    cases: dict[str, str] = {}
    severe: dict[str, Case] = {}
    count = 0
    for owned in owners[:ACCOUNTS_AT_ONCE]:
        for rule in RULES:
            for finding in await _judge_by(unit, owned, rule):
                case_id = cases.setdefault(owned.account_id, new_id("case"))
                monitoring.add_violation(unit.session, call.saga, owned, finding, case_id=case_id)
                count += 1
                if RULES[rule].severity in SEVERE:
                    severe[owned.account_id] = Case(owned.account_id, case_id)
    await unit.session.flush()
    more = bool(await monitoring.unjudged(unit.session, scope, most=1))
    return Judged(count, tuple(severe.values()), more)


async def _judge_by(unit: Unit, owned: Owned, rule: RuleId) -> list[Finding]:
    mark = await monitoring.lock_mark(unit.session, owned.ledger_account_id, rule)
    postings = await monitoring.postings_to_judge(unit.session, owned, after=mark.version)
    if not postings:
        return []
    findings = judge(rule, postings, judged=mark.version)
    mark.version, mark.judged_at = postings[-1].version, utc_now()
    await unit.session.flush()
    return findings


async def _report(unit: Unit, call: StepCall[ViolationReport]) -> int:
    violations = await monitoring.untold(unit.session, call.saga.workflow_id)
    for row in violations:
        is_frozen = row.account_id in call.request.frozen
        row.action_taken = "account_frozen" if is_frozen else "flagged"
        unit.tell(monitoring.told(row))
    await unit.session.flush()
    return len(violations)
