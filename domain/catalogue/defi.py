"""DeFi events: a position was opened, is in danger, earned something, or was closed.

Amounts are booked and carry minor units. Values in USD are estimates, so they are decimals only.
"""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    EventData,
    Integer,
    JsonObject,
    Part,
    Timestamp,
)


class DefiEvent(EventData):
    category = "defi"


class PositionEvent(DefiEvent):
    """A position. `apy` is in percent; `health_factor` is there where something is borrowed."""

    position_id: str
    protocol: str
    type: Literal["supply", "borrow", "lp", "stake", "yield_vault"]
    chain: str
    asset: str
    amount: DecimalText
    amount_minor: Integer
    value_usd: DecimalText
    apy: DecimalText | None
    health_factor: DecimalText | None
    wallet_address: str
    tx_hash: str
    metadata: JsonObject = Field(default_factory=dict)
    opened_at: Timestamp


class PositionOpened(PositionEvent):
    event_type = "position.opened"
    description = "Sent when a position is open: supplied, borrowed, staked or in a pool."
    producer = "OpenPosition"

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(POSITION)


class PositionClosed(PositionEvent):
    event_type = "position.closed"
    description = "Sent when a position is closed, with what came back of it."
    producer = "ClosePosition, PositionMonitor"

    reason: Literal["user", "liquidated", "expired", "compensation"]
    returned_amount: DecimalText
    returned_amount_minor: Integer
    realized_pnl_usd: DecimalText
    closed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **POSITION,
                "tx_hash": "0x" + "6b9e02d4" * 8,
                "reason": "user",
                "returned_amount": "5017.260000",
                "returned_amount_minor": 5017260000,
                "realized_pnl_usd": "17.26",
                "closed_at": "2026-01-31T12:00:00Z",
            }
        )


class PositionLiquidationWarning(DefiEvent):
    event_type = "position.liquidation_warning"
    description = "Sent once when a position's health falls below the warning threshold."
    producer = "PositionMonitor"

    position_id: str
    health_factor: DecimalText
    warning_threshold: DecimalText = "1.5"
    liquidation_threshold: DecimalText = "1.0"
    collateral_value_usd: DecimalText
    debt_value_usd: DecimalText
    suggested_actions: tuple[str, ...]
    time_to_respond_seconds: Count | None
    metadata: JsonObject = Field(default_factory=dict)

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "position_id": "pos_01kdw8c4y09q9g8xe6szaeavsn",
                "health_factor": "1.32",
                "collateral_value_usd": "9900.00",
                "debt_value_usd": "6000.00",
                "suggested_actions": ["add_collateral", "repay_debt"],
                "time_to_respond_seconds": 3600,
            }
        )


class Reward(Part):
    asset: str
    amount: DecimalText
    amount_minor: Integer
    value_usd: DecimalText


class YieldHarvested(DefiEvent):
    event_type = "yield.harvested"
    description = "Sent when the rewards of a position were claimed."
    producer = "HarvestYield"

    harvest_id: str
    position_id: str
    protocol: str
    chain: str
    rewards: tuple[Reward, ...]
    fee_amount: DecimalText
    fee_amount_minor: Integer
    fee_asset: str
    reinvested: bool
    tx_hash: str
    metadata: JsonObject = Field(default_factory=dict)
    harvested_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "harvest_id": "hrv_01kdw8k6t0tcpm5q1nxw1rnj47",
                "position_id": "pos_01kdw8c4y09q9g8xe6szaeavsn",
                "protocol": "sandbox",
                "chain": "base",
                "rewards": [
                    {
                        "asset": "USDC",
                        "amount": "12.400000",
                        "amount_minor": 12400000,
                        "value_usd": "12.40",
                    }
                ],
                "fee_amount": "1.240000",
                "fee_amount_minor": 1240000,
                "fee_asset": "USDC",
                "reinvested": False,
                "tx_hash": "0x" + "d83a51f0" * 8,
                "harvested_at": "2026-01-15T12:00:00Z",
            }
        )


POSITION: Final = {
    "position_id": "pos_01kdw8c4y09q9g8xe6szaeavsn",
    "protocol": "sandbox",
    "type": "supply",
    "chain": "base",
    "asset": "USDC",
    "amount": "5000.000000",
    "amount_minor": 5000000000,
    "value_usd": "5000.00",
    "apy": "4.20",
    "health_factor": None,
    "wallet_address": "0x" + "1f" * 20,
    "tx_hash": "0x" + "a47c90e5" * 8,
    "opened_at": "2026-01-01T12:00:00Z",
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    PositionOpened,
    PositionClosed,
    PositionLiquidationWarning,
    YieldHarvested,
)
