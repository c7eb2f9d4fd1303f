"""Chains: networks that a payment is submitted to and confirmed by. The port, and its sandbox."""

from abc import ABC, abstractmethod
from datetime import timedelta

from activities.connectors.sandbox import Sandbox, sandbox_hash
from domain.money import Money
from domain.sandbox import Faults


class Chain(ABC):
    """Every call is idempotent by `submission_id`, which the caller made."""

    @abstractmethod
    async def submit(self, submission_id: str, network: str, money: Money, faults: Faults) -> str:
        """Broadcast it and return its hash. Raises ConnectorRefused before, Unavailable any time.

        What was broadcast cannot be called off: there is no way to undo this.
        """

    @abstractmethod
    async def confirmations(self, submission_id: str, *, wanted: int, faults: Faults) -> int:
        """How many blocks confirm it so far; nobody asks for more than `wanted`."""


class SandboxChain(Chain):
    """Confirms evenly over the `confirm_after_ms` that follow the submission."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def submit(self, submission_id: str, network: str, money: Money, faults: Faults) -> str:
        tx_hash = sandbox_hash(network, submission_id)
        request = {
            "network": network,
            "amount_minor": money.amount_minor,
            "asset_code": money.asset_code,
        }
        answer = await self._sandbox.do(
            submission_id, request, faults, lambda: {"tx_hash": tx_hash}
        )
        return str(answer["tx_hash"])

    async def confirmations(self, submission_id: str, *, wanted: int, faults: Faults) -> int:
        age = await self._sandbox.age(submission_id)
        if age is None:
            return 0
        takes = timedelta(milliseconds=faults.confirm_after_ms)
        return wanted if age >= takes else int(wanted * (age / takes))
