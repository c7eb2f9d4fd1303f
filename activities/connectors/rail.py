"""Rails: ways for money to leave the bank. The port, and its sandbox."""

from abc import ABC, abstractmethod
from datetime import timedelta

from activities.connectors.sandbox import Sandbox
from domain.money import Money
from domain.sandbox import Faults


class Rail(ABC):
    """Every call is idempotent by `payment_id`, which the caller made."""

    @abstractmethod
    async def submit(self, payment_id: str, money: Money, faults: Faults) -> str:
        """Send the payment; returns the rail's reference. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def recall(self, payment_id: str) -> bool:
        """Call it off, or make the rail refuse it if it comes later. True if it was recalled."""

    @abstractmethod
    async def confirmed(self, payment_id: str, faults: Faults) -> bool:
        """Whether the money has arrived."""


class SandboxRail(Rail):
    """Confirms `confirm_after_ms` after the submission, and misbehaves on request."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def submit(self, payment_id: str, money: Money, faults: Faults) -> str:
        request = {"amount_minor": money.amount_minor, "asset_code": money.asset_code}
        answer = await self._sandbox.do(
            payment_id, request, faults, lambda: {"reference": f"SBX-{payment_id[-12:].upper()}"}
        )
        reference: str = answer["reference"]
        return reference

    async def recall(self, payment_id: str) -> bool:
        return await self._sandbox.call_off(payment_id)

    async def confirmed(self, payment_id: str, faults: Faults) -> bool:
        age = await self._sandbox.age(payment_id)
        return age is not None and age >= timedelta(milliseconds=faults.confirm_after_ms)
