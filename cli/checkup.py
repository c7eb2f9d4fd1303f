"""What `sagapost doctor` asks the database: whether books and sagas are as they must be."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from cli.findings import Finding, ill, well
from domain.money import Money
from domain.reconcile import Held
from storage.audit import Violation, check_books
from storage.reconciling import held_by, not_begun, runs_in_need, stuck_runs
from storage.tables import SagaRun
from storage.types import utc_now

SHOWN_MAX = 10
STARTED_WITHIN = timedelta(minutes=1)


async def check_up(url: str) -> list[Finding]:
    """Findings about what is in the database; it was found to answer."""
    engine = create_async_engine(url)
    try:
        async with AsyncSession(engine) as session:
            return [finding async for finding in _findings(session)]
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return [ill("database", f"cannot be read ({reason}): `sagapost migrate` may be missing")]
    finally:
        await engine.dispose()


async def _findings(session: AsyncSession) -> AsyncIterator[Finding]:
    in_need = await runs_in_need(session, most=SHOWN_MAX)
    for finding in await _books(session, in_need):
        yield finding
    for run in in_need:
        yield ill("sagas", _needs_a_person(run, await held_by(session, run.workflow_id)))
    for workflow_id in await stuck_runs(session, most=SHOWN_MAX):
        yield ill(
            "sagas",
            f"{workflow_id} is stuck: decide in the Temporal UI, by its update `operate`",
        )
    waiting = await not_begun(session, accepted_before=utc_now() - STARTED_WITHIN)
    if waiting:
        yield ill("sagas", f"{waiting} accepted and not begun for a minute: is a worker running?")


async def _books(session: AsyncSession, in_need: Sequence[SagaRun]) -> list[Finding]:
    """Holds of runs that need a person are told of with those runs, and what to do."""
    known = {run.workflow_id for run in in_need}
    broken = [
        violation
        for violation in await check_books(session)
        if violation.details.get("workflow_id") not in known
    ]
    if not broken:
        return [well("books", "entries, holds, stories and deliveries are as they must be")]
    shown = [ill("books", str(violation)) for violation in broken[:SHOWN_MAX]]
    return [*shown, *_more(broken)]


def _more(broken: Sequence[Violation]) -> list[Finding]:
    more = len(broken) - SHOWN_MAX
    return [ill("books", f"and {more} more")] if more > 0 else []


def _needs_a_person(run: SagaRun, held: Sequence[Held]) -> str:
    amounts = [str(Money(hold.amount_minor, hold.asset_code)) for hold in held]
    holds = f" and holds {', '.join(amounts)}" if amounts else ""
    undo = f"`sagapost sagas undo {run.workflow_id}`"
    return f"{run.workflow_id} was ended from outside{holds}: {undo}, or settle it by hand"
