"""KYC providers: who a customer is, and that somebody has looked. The port, and its sandbox."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from activities.connectors.sandbox import Sandbox
from domain.sandbox import Faults


@dataclass(frozen=True)
class Profile:
    """A person as the provider knows them. Personal data: keep it in the database."""

    provider: str
    full_name: str | None
    address: str | None
    document_id: str | None


class Kyc(ABC):
    """Every call is idempotent by `check_id`, which the caller made."""

    @abstractmethod
    async def verify(self, check_id: str, user_uuid: str, faults: Faults) -> Profile:
        """Verify a person. Raises ConnectorRefused(kyc_required, …), Unavailable."""


class SandboxKyc(Kyc):
    """Knows everybody, and makes up the rest. `omit` is what it does not know."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def verify(self, check_id: str, user_uuid: str, faults: Faults) -> Profile:
        known = {
            "full_name": f"Sandbox Person {user_uuid[-4:]}",
            "address": f"{len(user_uuid)} Sandbox Street",
            "document_id": f"SBX-{user_uuid[-8:].upper()}",
        }
        profile = {name: value for name, value in known.items() if name not in faults.omit}
        request = {"user_uuid": user_uuid}
        answer = await self._sandbox.do(check_id, request, faults, lambda: profile)
        return Profile("sandbox", *(answer.get(name) for name in known))
