"""Bridges: what carries tokens from one chain to another. The port, and its sandbox."""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Literal

from activities.connectors.sandbox import Sandbox, sandbox_hash
from domain.bridge import QUOTE_VALID, Arrival, BridgeQuote, Route, bridge_fee, check_quote
from domain.errors import ConnectorRefused
from domain.money import Money
from domain.payment_intent import NETWORKS
from domain.sandbox import NO_FAULTS, Faults
from storage.types import utc_now

SANDBOX_BASIS_POINTS = 25


class Bridge(ABC):
    """Every call is idempotent by its first argument, which the caller made."""

    @abstractmethod
    async def quote(self, quote_id: str, route: Route, money: Money, faults: Faults) -> BridgeQuote:
        """What it takes, and until when it says so. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def submit(
        self, submission_id: str, quote: BridgeQuote, route: Route, money: Money, faults: Faults
    ) -> str:
        """Send the tokens and return the hash on their own chain.

        Raises ConnectorRefused(quote_expired, …) before, Unavailable any time. An expired quote is
        refused when the submission first comes, never when it is asked for again.
        """

    @abstractmethod
    async def arrival(
        self, submission_id: str, route: Route, *, give_up: bool, faults: Faults
    ) -> Arrival | None:
        """Whether they arrived; None while that is open. With `give_up` it is open no longer:

        what has not arrived is given back, and never arrives. The answer never changes.
        """

    @abstractmethod
    async def refund(self, submission_id: str) -> str | None:
        """Give the tokens back, or refuse them if they come later. None if they never came.

        Raises ConnectorRefused if they have arrived.
        """


class SandboxBridge(Bridge):
    """Stands for every protocol. Delivers `confirm_after_ms` after the submission."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def quote(self, quote_id: str, route: Route, money: Money, faults: Faults) -> BridgeQuote:
        fee = bridge_fee(money, basis_points=SANDBOX_BASIS_POINTS)
        if fee.amount_minor >= money.amount_minor:
            raise ConnectorRefused("amount_too_small", f"{money} do not cover the bridge's fee")
        quote = BridgeQuote(quote_id, fee.amount_minor, utc_now() + QUOTE_VALID)
        said = {"fee_minor": quote.fee_minor, "expires_at": quote.expires_at.isoformat()}
        answer = await self._sandbox.do(quote_id, _asked(route, money), faults, lambda: said)
        return BridgeQuote(
            quote_id,
            answer["fee_minor"],
            type(quote.expires_at).fromisoformat(answer["expires_at"]),
        )

    async def submit(
        self, submission_id: str, quote: BridgeQuote, route: Route, money: Money, faults: Faults
    ) -> str:
        def accept() -> dict[str, str]:
            check_quote(quote, utc_now())
            return {"tx_hash": sandbox_hash(route.from_chain, submission_id)}

        answer = await self._sandbox.do(submission_id, _asked(route, money), faults, accept)
        tx_hash: str = answer["tx_hash"]
        return tx_hash

    async def arrival(
        self, submission_id: str, route: Route, *, give_up: bool, faults: Faults
    ) -> Arrival | None:
        age = await self._sandbox.age(submission_id)
        arrived = age is not None and age >= timedelta(milliseconds=faults.confirm_after_ms)
        if not arrived and not give_up:
            return None
        confirmations = NETWORKS[route.to_chain].confirmations
        return await self._end(submission_id, "arrived" if arrived else "refunded", confirmations)

    async def refund(self, submission_id: str) -> str | None:
        ended = await self._end(submission_id, "refunded")
        if ended.outcome == "arrived":
            raise ConnectorRefused("already_arrived", "the tokens arrived: they cannot come back")
        return ended.tx_hash if await self._sandbox.call_off(submission_id) else None

    async def _end(
        self, submission_id: str, outcome: Literal["arrived", "refunded"], confirmations: int = 0
    ) -> Arrival:
        """Write down how it ended; whoever comes second gets what the first one wrote."""
        said = {
            "outcome": outcome,
            "tx_hash": sandbox_hash(outcome, submission_id),
            "confirmations": confirmations if outcome == "arrived" else 0,
        }
        answer = await self._sandbox.do(f"{submission_id}/end", {}, NO_FAULTS, lambda: said)
        return Arrival(**answer)


def _asked(route: Route, money: Money) -> dict[str, str | int]:
    return {
        "from_chain": route.from_chain,
        "to_chain": route.to_chain,
        "protocol": route.protocol,
        "asset_code": money.asset_code,
        "amount_minor": money.amount_minor,
    }
