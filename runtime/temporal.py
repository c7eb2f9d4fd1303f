"""How every process talks to Temporal: one converter, one sandbox, one mapping of errors."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from domain.errors import Refused, Unavailable
from runtime.settings import Settings

SAGA_QUEUE = "sagas"
DELIVERY_QUEUE = "deliveries"
# A queue of their own: however many retries hang, fresh deliveries have their slots.
RETRY_QUEUE = "retries"

# Pure code is shared with workflows as it is, so workflow files need no
# `imports_passed_through` blocks. The import contracts keep these packages pure. What is not here
# is imported anew for every run: only a saga's own module, where a slip is likeliest, pays that.
PURE_PACKAGES = (
    "domain",
    "activities",
    "workflows.failures",
    "workflows.progress",
    "workflows.saga",
    "workflows.steps",
    "pydantic",
    "pydantic_core",
    "annotated_types",
)
SANDBOX = SandboxRestrictions.default.with_passthrough_modules(*PURE_PACKAGES)


class QuietFailureConverter(DefaultFailureConverter):
    """An expected "no" shows no stack trace in the UI: its text, code and details are enough."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and _is_expected(exception):
            failure.stack_trace = ""


def _is_expected(error: ApplicationError) -> bool:
    return error.non_retryable or error.category is ApplicationErrorCategory.BENIGN


# The engine makes a converter for every workflow; what this one learns of a type is kept.
_JSON = PydanticJSONPlainPayloadConverter()


class LearnedPayloadConverter(CompositePayloadConverter):
    """Pydantic's, whose type adapters are made once in a process and not once in a workflow."""

    def __init__(self) -> None:
        others = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(
            *(_JSON if isinstance(one, JSONPlainPayloadConverter) else one for one in others)
        )


CONVERTER = DataConverter(
    payload_converter_class=LearnedPayloadConverter, failure_converter_class=QuietFailureConverter
)


async def connect(settings: Settings) -> Client:
    return await Client.connect(
        settings.resolved_temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=CONVERTER,
    )


def workflow_runner(*, sandboxed: bool = True) -> WorkflowRunner:
    """The sandbox catches non-determinism where it is written, and costs a third of the CPU.

    Tests always run in it; a worker does where SAGAPOST_WORKER_SANDBOX says so.
    """
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SANDBOX)


def activity_methods(implementations: Sequence[object]) -> list[Callable[..., Any]]:
    """Every activity of every implementation, so none is forgotten at registration."""
    return [
        method
        for implementation in implementations
        for name in dir(implementation)
        if hasattr(method := getattr(implementation, name), "__temporal_activity_definition")
    ]


class ErrorsAsFailures(Interceptor):
    """Turn a domain "no" into a failure that is final, an outage into one that is retried."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ErrorsAsFailures(next)


class _ErrorsAsFailures(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await self.next.execute_activity(input)
        except Refused as refusal:
            raise ApplicationError(
                str(refusal),
                refusal.details,
                type=refusal.reason_code,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # Else it is logged with a traceback.
            ) from None
        except Unavailable as outage:
            raise ApplicationError(
                str(outage), type=outage.code, category=ApplicationErrorCategory.BENIGN
            ) from None
