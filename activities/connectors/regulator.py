"""Regulators: whom reports are submitted to. The port, and its sandbox."""

from abc import ABC, abstractmethod
from datetime import timedelta

from activities.connectors.sandbox import Sandbox
from domain.compliance_report import Submitted
from domain.sandbox import Faults


class Regulator(ABC):
    """Every call is idempotent by `submission_id`, which the caller made."""

    @abstractmethod
    async def submit(self, submission_id: str, sha256: str, faults: Faults) -> Submitted:
        """Send the report; says who took it, as what. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def withdraw(self, submission_id: str) -> bool:
        """Take it back, or have it refused if it comes later. True if it was taken back."""

    @abstractmethod
    async def acknowledged(self, submission_id: str, faults: Faults) -> bool:
        """Whether it has been read and found in order."""


class SandboxRegulator(Regulator):
    """Acknowledges `confirm_after_ms` after the submission, and misbehaves on request."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def submit(self, submission_id: str, sha256: str, faults: Faults) -> Submitted:
        answer = await self._sandbox.do(
            submission_id,
            {"sha256": sha256},
            faults,
            lambda: {"reference": f"SBX-{sha256[:16].upper()}"},
        )
        return Submitted(answer["reference"], regulator="sandbox")

    async def withdraw(self, submission_id: str) -> bool:
        return await self._sandbox.call_off(submission_id)

    async def acknowledged(self, submission_id: str, faults: Faults) -> bool:
        age = await self._sandbox.age(submission_id)
        return age is not None and age >= timedelta(milliseconds=faults.confirm_after_ms)
