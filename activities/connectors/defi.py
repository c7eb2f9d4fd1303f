"""DeFi protocols: lending, staking, pools. The port, and its sandbox with fixed yields."""

from abc import ABC, abstractmethod
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

from activities.connectors.sandbox import Sandbox, sandbox_hash
from domain.errors import ConnectorRefused
from domain.harvest import Claimed
from domain.money import Money
from domain.position import (
    HUNDRED,
    OpenPositionRequest,
    Position,
    PositionType,
    Terms,
    Withdrawn,
    health_factor,
    value_usd,
)
from domain.position_watch import PositionHealth
from domain.sandbox import Faults

APY: Final[dict[PositionType, str]] = {
    "supply": "4.20",
    "borrow": "2.10",
    "lp": "8.50",
    "stake": "3.80",
    "yield_vault": "6.00",
}
# So many dollars at once move a price by one percent.
DEPTH_USD: Final = Decimal(1_000_000)
PENALTY: Final = Decimal("1.05")
DAYS: Final = 365


class DefiProtocol(ABC):
    """Every call is idempotent by its first argument, which the caller made."""

    @abstractmethod
    async def terms(self, asking_id: str, request: OpenPositionRequest, faults: Faults) -> Terms:
        """What it offers. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def approve(self, approval_id: str, wallet: str, money: Money, faults: Faults) -> None:
        """Let it take so much from the wallet. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def supply(
        self, supply_id: str, wallet: str, request: OpenPositionRequest, faults: Faults
    ) -> str:
        """Put in, and borrow; returns the hash. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def call_off(self, operation_id: str) -> bool:
        """Undo an approval, a supply or an addition, or refuse it when it comes. True if undone."""

    @abstractmethod
    async def withdraw(
        self, withdrawal_id: str, position: Position, *, liquidate: bool, faults: Faults
    ) -> Withdrawn:
        """Close the position. To liquidate a healthy one is refused: position_healthy."""

    @abstractmethod
    async def health(self, position: Position, faults: Faults) -> PositionHealth:
        """What its collateral and its debt are worth now. Raises Unavailable."""

    @abstractmethod
    async def rewards(self, asking_id: str, position: Position, faults: Faults) -> Money:
        """What could be claimed. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def claim(self, claim_id: str, position: Position, faults: Faults) -> Claimed:
        """Pay it out. Raises ConnectorRefused before, Unavailable any time."""

    @abstractmethod
    async def add(self, addition_id: str, position: Position, money: Money, faults: Faults) -> None:
        """Put more into the position. Raises ConnectorRefused, Unavailable. See `call_off`."""


class SandboxDefi(DefiProtocol):
    """Stands for every protocol. Its prices are the reference rates, less `slip_percent`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def terms(self, asking_id: str, request: OpenPositionRequest, faults: Faults) -> Terms:
        impact = value_usd(request.money) / DEPTH_USD + Decimal(faults.slip_percent)
        terms = {
            "apy": APY[request.type],
            "price_impact_percent": str(impact.quantize(Decimal("0.0001"), ROUND_UP)),
        }
        asked = {"type": request.type, "amount_minor": request.money.amount_minor}
        return Terms(**await self._sandbox.do(asking_id, asked, faults, lambda: terms))

    async def approve(self, approval_id: str, wallet: str, money: Money, faults: Faults) -> None:
        asked = {"amount_minor": money.amount_minor, "asset_code": money.asset_code}
        await self._sandbox.do(approval_id, asked, faults, lambda: {"wallet": wallet})

    async def supply(
        self, supply_id: str, wallet: str, request: OpenPositionRequest, faults: Faults
    ) -> str:
        asked = {
            "type": request.type,
            "amount_minor": request.money.amount_minor,
            "borrowed_minor": request.debt.amount_minor if request.debt else 0,
        }
        said = {"tx_hash": sandbox_hash(request.chain, wallet, supply_id)}
        answer = await self._sandbox.do(supply_id, asked, faults, lambda: said)
        tx_hash: str = answer["tx_hash"]
        return tx_hash

    async def call_off(self, operation_id: str) -> bool:
        return await self._sandbox.call_off(operation_id)

    async def withdraw(
        self, withdrawal_id: str, position: Position, *, liquidate: bool, faults: Faults
    ) -> Withdrawn:
        slip = Decimal(faults.slip_percent)

        def give_back() -> dict[str, str | int]:
            returned = seized(position, slip) if liquidate else with_a_days_yield(position)
            tx_hash = sandbox_hash(position.chain, position.wallet_address, withdrawal_id)
            return {
                "returned_minor": returned,
                "tx_hash": tx_hash,
                "price_slip_percent": str(slip),
            }

        asked = {"position_id": position.id, "liquidate": liquidate}
        return Withdrawn(**await self._sandbox.do(withdrawal_id, asked, faults, give_back))

    async def health(self, position: Position, faults: Faults) -> PositionHealth:
        slip = Decimal(faults.slip_percent)
        health = health_factor(position.money, position.debt, slip_percent=slip)
        assert position.debt is not None
        return PositionHealth(
            open=True,
            health_factor=str(health),
            collateral_usd=str(value_usd(position.money, slip_percent=slip)),
            debt_usd=str(value_usd(position.debt)),
        )

    async def rewards(self, asking_id: str, position: Position, faults: Faults) -> Money:
        said = {"reward_minor": days_yield(position).amount_minor}
        asked = {"position_id": position.id}
        answer = await self._sandbox.do(asking_id, asked, faults, lambda: said)
        return Money(answer["reward_minor"], position.money.asset_code)

    async def claim(self, claim_id: str, position: Position, faults: Faults) -> Claimed:
        said = {
            "reward_minor": days_yield(position).amount_minor,
            "tx_hash": sandbox_hash(position.chain, position.wallet_address, claim_id),
        }
        asked = {"position_id": position.id}
        return Claimed(**await self._sandbox.do(claim_id, asked, faults, lambda: said))

    async def add(self, addition_id: str, position: Position, money: Money, faults: Faults) -> None:
        asked = {"position_id": position.id, "amount_minor": money.amount_minor}
        await self._sandbox.do(addition_id, asked, faults, lambda: {})


def days_yield(position: Position) -> Money:
    """What a day earns: so much the sandbox pays for each claim, and when a position closes."""
    earned = position.money.amount_minor * Decimal(position.apy) / HUNDRED / DAYS
    return Money(int(earned.to_integral_value(ROUND_DOWN)), position.money.asset_code)


def with_a_days_yield(position: Position) -> int:
    return position.money.amount_minor + days_yield(position).amount_minor


def seized(position: Position, slip: Decimal) -> int:
    """What is left of the collateral after the debt and a penalty, in minor units.

    Raises ConnectorRefused while the collateral covers the debt.
    """
    health = health_factor(position.money, position.debt, slip_percent=slip)
    if health is None or health >= 1:
        raise ConnectorRefused("position_healthy", f"{position.id} has a health factor of {health}")
    assert position.debt is not None
    worth = value_usd(position.money, slip_percent=slip)
    left = max(Decimal(0), worth - value_usd(position.debt) * PENALTY)
    part = left / worth if worth else Decimal(0)
    return int((position.money.amount_minor * part).to_integral_value(ROUND_DOWN))
