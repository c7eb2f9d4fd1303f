"""A step: an action and the compensation that undoes it, and how each of them is run.

Two speeds. A step that is one short transaction of ours runs as a local activity; when its few
tries are used up (the database is down) the same step goes on as a regular activity, retried by
the server for as long as it takes. A step that talks to an outside party, and every compensation,
is a regular activity from the start: visible in the UI, with all its attempts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from domain.saga import StepCall, Undone

Request = TypeVar("Request")
Result = TypeVar("Result")
Action = Callable[[Any, StepCall[Request]], Awaitable[Result]]
Undo = Callable[[Any, StepCall[Request]], Awaitable[Undone]]

# Bounded in attempts as well as in time: a local activity's total timeout is not enforced across
# its retries, and it holds a workflow task slot all the while.
LOCAL_START_TO_CLOSE = timedelta(seconds=3)
LOCAL_RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    maximum_interval=timedelta(milliseconds=200),
    maximum_attempts=3,
)


@dataclass(frozen=True)
class Step(Generic[Request, Result]):
    """An action and the compensation that undoes it; both take the same request.

    `outside` says that it talks to an outside party. `attempts_max` None retries for ever; a
    number gives up after so many and compensates. `name` defaults to the action's.

    `undo_first` holds the earlier steps back until this one is undone: money that may have left
    the bank must not be given back as well. Where there is no way back, `stuck_after` is how long
    tries may fail before an operator is called; they go on meanwhile.
    """

    action: Action[Request, Result]
    compensation: Undo[Request] | None = None
    name: str = ""
    outside: bool = False
    undo_first: bool = False
    start_to_close: timedelta = timedelta(seconds=10)
    attempts_max: int | None = None
    retry_after: timedelta = timedelta(seconds=1)
    retry_after_max: timedelta = timedelta(seconds=30)
    stuck_after: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.action.__name__)

    @property
    def gives_nothing(self) -> bool:
        """Whether a saga can go on without its result, because it has none."""
        return self.action.__annotations__.get("return") is None


def named(step: Step[Request, Result], name: str) -> Step[Request, Result]:
    """The same step under another name, where a saga takes it more than once."""
    return replace(step, name=name)


async def act(step: Step[Request, Result], call: StepCall[Request]) -> Result:
    """Run the action at the step's speed. Raises what the saga must answer to."""
    if not step.outside:
        try:
            return await _locally(step, call)
        except ApplicationError as error:
            if error.non_retryable:
                raise
        except ActivityError:  # It took too long, or this process is going away.
            pass
    return await _regularly(step.action, step, call, attempts_max=step.attempts_max or 0)


async def act_until_known(step: Step[Request, Result], call: StepCall[Request]) -> Result:
    """Run the action until it succeeds or is refused: never leave it open what happened."""
    return await act(replace(step, attempts_max=None), call)


async def compensate(step: Step[Request, Any], call: StepCall[Request]) -> Undone:
    """Run the compensation until it succeeds; only a refusal ends it otherwise."""
    assert step.compensation is not None
    return await _regularly(step.compensation, step, call, attempts_max=0)


async def _locally(step: Step[Request, Result], call: StepCall[Request]) -> Result:
    return await workflow.execute_local_activity_method(
        step.action,
        call,
        start_to_close_timeout=LOCAL_START_TO_CLOSE,
        retry_policy=LOCAL_RETRIES,
        activity_id=call.step,
        summary=call.step,
    )


async def _regularly(
    action: Action[Request, Result],
    step: Step[Request, Any],
    call: StepCall[Request],
    *,
    attempts_max: int,
) -> Result:
    undoing = call.failure is not None
    return await workflow.execute_activity_method(
        action,
        call,
        activity_id=f"{call.step}/undo" if undoing else call.step,
        start_to_close_timeout=step.start_to_close,
        retry_policy=RetryPolicy(
            initial_interval=step.retry_after,
            maximum_interval=max(step.retry_after, step.retry_after_max),
            maximum_attempts=attempts_max,
        ),
        # Its compensation must not start while it still runs; the engine looks at the result of
        # a step that ended well in spite of the cancel.
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"undo {call.step}" if undoing else call.step,
    )
