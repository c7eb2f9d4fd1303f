"""Ask the database whether its books and stories are whole: what must always hold, rule by rule.

Each rule is one statement that finds what breaks it, so each sees one moment, also while others
write. An audit of a healthy database finds nothing. The numbers are those of the rules of the
books; the constraints and triggers should make most of these findings impossible, and that is what
this page is for: it believes none of them.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import String, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.types import UtcDateTime, utc_now

VIOLATIONS_PER_RULE_MAX = 100
# Events are kept at least this long; of an older run some may be gone.
STORIES_KEPT = timedelta(days=5)

BOOKS = {
    "postings sum to zero in every asset": """
        SELECT a.tenant_id, a.asset_code AS subject, sum(p.direction * p.amount_minor) AS total
        FROM postings p JOIN ledger_accounts a ON a.id = p.ledger_account_id
        GROUP BY a.tenant_id, a.asset_code
        HAVING sum(p.direction * p.amount_minor) <> 0
    """,
    "posted counters are the sums of the postings": """
        SELECT a.tenant_id, a.id AS subject, a.debits_posted, a.credits_posted,
               coalesce(sum(CASE p.direction WHEN 1 THEN p.amount_minor END), 0) AS debits,
               coalesce(sum(CASE p.direction WHEN -1 THEN p.amount_minor END), 0) AS credits
        FROM ledger_accounts a LEFT JOIN postings p ON p.ledger_account_id = a.id
        GROUP BY a.id
        HAVING a.debits_posted
                 <> coalesce(sum(CASE p.direction WHEN 1 THEN p.amount_minor END), 0)
            OR a.credits_posted
                 <> coalesce(sum(CASE p.direction WHEN -1 THEN p.amount_minor END), 0)
    """,
    "pending counters are the sums of the placed holds": """
        SELECT a.tenant_id, a.id AS subject, a.debits_pending, a.credits_pending,
               coalesce(sum(h.amount_minor), 0) AS held
        FROM ledger_accounts a
        LEFT JOIN holds h ON h.ledger_account_id = a.id AND h.state = 'placed'
        GROUP BY a.id
        HAVING a.debits_pending <> coalesce(sum(h.amount_minor), 0) OR a.credits_pending <> 0
    """,
    "no account is below its limit": """
        SELECT tenant_id, id AS subject, credits_posted, debits_posted, debits_pending,
               credits_pending, min_available
        FROM ledger_accounts
        WHERE CASE normal WHEN 'credit' THEN credits_posted - debits_posted - debits_pending
              ELSE debits_posted - credits_posted - credits_pending END < min_available
    """,
    "every entry is sealed and has two legs": """
        SELECT e.tenant_id, e.id AS subject, e.sealed, count(p.line) AS legs
        FROM journal_entries e LEFT JOIN postings p ON p.entry_id = e.id
        GROUP BY e.id
        HAVING e.sealed <> 1 OR count(p.line) < 2
    """,
    "every entry balances in each asset, within its tenant": """
        SELECT e.tenant_id, e.id AS subject, a.tenant_id AS of_tenant, a.asset_code,
               sum(p.direction * p.amount_minor) AS total
        FROM journal_entries e
        JOIN postings p ON p.entry_id = e.id
        JOIN ledger_accounts a ON a.id = p.ledger_account_id
        GROUP BY e.id, a.tenant_id, a.asset_code
        HAVING sum(p.direction * p.amount_minor) <> 0 OR a.tenant_id <> e.tenant_id
    """,
    "a hold is of its ledger account's tenant": """
        SELECT h.tenant_id, h.id AS subject, a.tenant_id AS of_tenant
        FROM holds h JOIN ledger_accounts a ON a.id = h.ledger_account_id
        WHERE a.tenant_id <> h.tenant_id
    """,
    "a settled hold paid for one entry, any other hold for none": """
        SELECT h.tenant_id, h.id AS subject, h.state, count(DISTINCT e.id) AS entries,
               count(p.line) AS debits
        FROM holds h
        LEFT JOIN journal_entries e ON e.hold_id = h.id
        LEFT JOIN postings p ON p.entry_id = e.id AND p.direction = 1
             AND p.ledger_account_id = h.ledger_account_id
             AND p.account_version = h.resolved_version AND p.amount_minor <= h.amount_minor
        GROUP BY h.id
        HAVING count(DISTINCT e.id) <> CASE h.state WHEN 'settled' THEN 1 ELSE 0 END
            OR count(p.line) <> CASE h.state WHEN 'settled' THEN 1 ELSE 0 END
    """,
    "an account's versions are 1 to n, each made by one posting or hold": """
        SELECT a.tenant_id, a.id AS subject, a.version, count(v.version) AS made,
               count(DISTINCT v.version) AS different, max(v.version) AS last
        FROM ledger_accounts a
        LEFT JOIN (
            SELECT ledger_account_id, account_version AS version FROM postings
            UNION ALL
            SELECT ledger_account_id, placed_version FROM holds
            UNION ALL
            SELECT ledger_account_id, resolved_version FROM holds WHERE state = 'released'
        ) AS v ON v.ledger_account_id = a.id AND v.version IS NOT NULL
        GROUP BY a.id
        HAVING count(v.version) <> a.version OR count(DISTINCT v.version) <> a.version
            OR coalesce(max(v.version), 0) <> a.version OR coalesce(min(v.version), 1) <> 1
    """,
    "each posting's balance follows from the one before": """
        SELECT tenant_id, subject, line, balance_after, expected
        FROM (
            SELECT a.tenant_id, p.entry_id AS subject, p.line, p.balance_after,
                   coalesce(lag(p.balance_after) OVER (
                       PARTITION BY p.ledger_account_id ORDER BY p.account_version
                   ), 0) - p.direction * p.amount_minor AS expected
            FROM postings p JOIN ledger_accounts a ON a.id = p.ledger_account_id
        ) AS chain
        WHERE balance_after <> expected
    """,
}

STORIES = {
    "no hold is left of a saga that ended": """
        SELECT h.tenant_id, h.id AS subject, h.workflow_id, r.state, h.amount_minor
        FROM holds h JOIN saga_runs r ON r.workflow_id = h.workflow_id
        WHERE h.state = 'placed'
          AND r.state IN ('completed', 'failed', 'timed_out', 'cancelled')
    """,
    "a run has ended, or it has not": """
        SELECT tenant_id, workflow_id AS subject, state, started_at, ended_at
        FROM saga_runs
        WHERE (state IN ('completed', 'failed', 'timed_out', 'cancelled')) <> (ended_at IS NOT NULL)
           OR (state = 'accepted') <> (started_at IS NULL)
    """,
    "a run's events are numbered 1 to n": """
        SELECT r.tenant_id, r.workflow_id AS subject, r.last_sequence, count(e.id) AS events,
               min(e.sequence) AS first, max(e.sequence) AS last
        FROM saga_runs r LEFT JOIN events e ON e.workflow_id = r.workflow_id
        WHERE r.accepted_at >= :since
        GROUP BY r.workflow_id
        HAVING count(e.id) <> r.last_sequence OR count(DISTINCT e.sequence) <> r.last_sequence
            OR coalesce(max(e.sequence), 0) <> r.last_sequence
            OR coalesce(min(e.sequence), 1) <> 1
    """,
    "a run's story begins once, with workflow.started": """
        SELECT r.tenant_id, r.workflow_id AS subject, r.state, count(e.id) AS beginnings,
               max(e.sequence) AS sequence
        FROM saga_runs r
        LEFT JOIN events e ON e.workflow_id = r.workflow_id AND e.type = 'workflow.started'
        WHERE r.accepted_at >= :since
        GROUP BY r.workflow_id
        HAVING count(e.id) <> CASE WHEN r.started_at IS NULL THEN 0 ELSE 1 END
            OR coalesce(max(e.sequence), 1) <> 1
    """,
    "a run's story ends once, with how it ended": """
        SELECT r.tenant_id, r.workflow_id AS subject, r.state, r.last_sequence,
               count(e.id) AS ends, max(e.sequence) AS sequence
        FROM saga_runs r
        LEFT JOIN events e ON e.workflow_id = r.workflow_id
             AND e.type IN ('workflow.completed', 'workflow.failed', 'workflow.timeout')
        WHERE r.accepted_at >= :since
        GROUP BY r.workflow_id
        HAVING count(e.id) <> CASE
                 WHEN r.state IN ('completed', 'failed', 'timed_out', 'cancelled') THEN 1
                 ELSE 0 END
            OR coalesce(max(e.sequence), r.last_sequence) <> r.last_sequence
    """,
    "each step that was done was told once": """
        SELECT r.tenant_id, r.workflow_id AS subject,
               (SELECT count(*) FROM saga_steps s
                WHERE s.workflow_id = r.workflow_id AND s.state <> 'fenced') AS steps,
               (SELECT count(*) FROM events e WHERE e.workflow_id = r.workflow_id
                AND e.type = 'workflow.step_completed') AS told
        FROM saga_runs r
        WHERE r.accepted_at >= :since
          AND (SELECT count(*) FROM saga_steps s
               WHERE s.workflow_id = r.workflow_id AND s.state <> 'fenced')
           <> (SELECT count(*) FROM events e WHERE e.workflow_id = r.workflow_id
               AND e.type = 'workflow.step_completed')
    """,
    "a numbered event is of a run of its tenant": """
        SELECT e.tenant_id, e.id AS subject, e.workflow_id, e.sequence, r.tenant_id AS of_tenant
        FROM events e LEFT JOIN saga_runs r ON r.workflow_id = e.workflow_id
        WHERE (e.workflow_id IS NULL) <> (e.sequence IS NULL)
           OR (e.workflow_id IS NOT NULL AND coalesce(r.tenant_id, '') <> e.tenant_id)
    """,
}

DELIVERIES = {
    "a delivery's state is what its row says": """
        SELECT tenant_id, id AS subject, state, reason, claim_id, claimed_until, next_attempt_at,
               settled_at
        FROM deliveries
        WHERE (state IN ('succeeded', 'dead_lettered', 'cancelled')) <> (settled_at IS NOT NULL)
           OR (state = 'claimed' AND (claim_id IS NULL OR claimed_until IS NULL))
           OR (state = 'retrying' AND next_attempt_at IS NULL)
           OR (state = 'parked' AND reason IS NULL)
    """,
    "an unsettled delivery's attempts are all recorded": """
        SELECT d.tenant_id, d.id AS subject, d.state, d.attempts, count(a.number) AS recorded
        FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.id
        WHERE d.settled_at IS NULL
        GROUP BY d.id
        HAVING count(a.number) <> d.attempts
    """,
    "a delivery succeeded only by an answer of 2xx": """
        SELECT d.tenant_id, d.id AS subject, d.attempts
        FROM deliveries d
        WHERE d.state = 'succeeded' AND NOT EXISTS (
            SELECT 1 FROM attempts a
            WHERE a.delivery_id = d.id AND a.status_code BETWEEN 200 AND 299
        )
    """,
    "a delivery is of its event's and its endpoint's tenant": """
        SELECT d.tenant_id, d.id AS subject, d.event_id, d.endpoint_id
        FROM deliveries d
        JOIN events e ON e.id = d.event_id
        JOIN endpoints p ON p.id = d.endpoint_id
        WHERE e.tenant_id <> d.tenant_id OR p.tenant_id <> d.tenant_id OR e.type <> d.event_type
    """,
}


@dataclass(frozen=True)
class Violation:
    """A row that breaks a rule, and what it says."""

    rule: str
    subject: str
    details: dict[str, Any]

    def __str__(self) -> str:
        details = ", ".join(f"{name} {found}" for name, found in self.details.items())
        return f"not so: {self.rule}: {self.subject} ({details})"


def _query(rule: str) -> TextClause:
    of_tenant = "CAST(:tenant AS VARCHAR) IS NULL OR tenant_id = CAST(:tenant AS VARCHAR)"
    found = text(
        f"SELECT * FROM ({rule}) AS found WHERE {of_tenant} "  # noqa: S608 - rules of this page
        f"ORDER BY tenant_id, subject LIMIT {VIOLATIONS_PER_RULE_MAX}"
    ).bindparams(bindparam("tenant", type_=String))
    if ":since" in rule:
        found = found.bindparams(bindparam("since", type_=UtcDateTime))
    return found


RULES = {name: _query(rule) for name, rule in (BOOKS | STORIES | DELIVERIES).items()}


async def check_books(session: AsyncSession, tenant_id: str | None = None) -> list[Violation]:
    """Everything found that must not be, of one tenant or of all, at most so many of each rule."""
    values = {"tenant": tenant_id, "since": utc_now() - STORIES_KEPT}
    violations: list[Violation] = []
    for rule, query in RULES.items():
        rows = (await session.execute(query, values)).mappings()
        violations += [_violation(rule, dict(row)) for row in rows]
    return violations


def _violation(rule: str, row: dict[str, Any]) -> Violation:
    return Violation(rule, f"{row.pop('tenant_id')} {row.pop('subject')}", row)
