"""Sanctions lists: whether a party may be dealt with. The port, and its sandbox."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from activities.connectors.sandbox import Sandbox
from domain.errors import ConnectorRefused
from domain.sandbox import Faults

HIT = "sanctions_hit"


@dataclass(frozen=True)
class Party:
    """Who is screened. `full_name` is personal data: it goes to the provider and nowhere else."""

    account_id: str
    full_name: str | None


@dataclass(frozen=True)
class Screening:
    cleared: bool
    provider: str


class Sanctions(ABC):
    """Every call is idempotent by `screening_id`, which the caller made."""

    @abstractmethod
    async def screen(self, screening_id: str, party: Party, faults: Faults) -> Screening:
        """Look a party up. A hit is an answer, not an error. Raises Unavailable."""


class SandboxSanctions(Sanctions):
    """Clears everybody but whom `refuse` says `sanctions_hit` of."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def screen(self, screening_id: str, party: Party, faults: Faults) -> Screening:
        request = {"account_id": party.account_id}
        try:
            await self._sandbox.do(screening_id, request, faults, lambda: {"cleared": True})
        except ConnectorRefused as refused:
            if refused.reason_code != HIT:
                raise
            return Screening(cleared=False, provider="sandbox")
        return Screening(cleared=True, provider="sandbox")
