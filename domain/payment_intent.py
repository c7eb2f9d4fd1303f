"""Payment intents: a payer's promise to pay a merchant on a chain, which lives for 15 minutes."""

from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.errors import RouteUnsupported
from domain.money import AmountText, Money, exponent, parse_amount
from domain.reference_rates import USD_RATES
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

LIVES_S: Final = 900

NetworkName = Literal["solana", "tron", "polygon", "base", "arbitrum", "ethereum"]


@dataclass(frozen=True)
class Network:
    """What a chain carries, when it is believed, and about what it takes for it."""

    assets: frozenset[str]
    confirmations: int
    fee_usd: str


NETWORKS: Final[dict[NetworkName, Network]] = {
    "solana": Network(frozenset({"USDC", "USDT", "EURC", "SOL"}), 32, "0.001"),
    "tron": Network(frozenset({"USDC", "USDT"}), 20, "1.00"),
    "polygon": Network(frozenset({"USDC", "USDT", "DAI", "MATIC"}), 128, "0.01"),
    "base": Network(frozenset({"USDC", "EURC", "DAI", "ETH", "WETH"}), 12, "0.01"),
    "arbitrum": Network(frozenset({"USDC", "USDT", "DAI", "ETH", "WETH"}), 12, "0.02"),
    "ethereum": Network(frozenset({"USDC", "USDT", "EURC", "DAI", "ETH", "WETH"}), 12, "1.50"),
}


@dataclass(frozen=True, kw_only=True)
class PaymentIntentRequest(SagaRequest):
    """Pay a merchant on a chain. Kept: `merchant_name`, `metadata`.

    The payer authorises it by the update or signal `authorize` within `authorize_within_s`, or has
    done so before: `authorized`. `sandbox` tells the sandbox `chain` how to behave.
    """

    payer_account: AccountId
    merchant_id: Annotated[str, Field(min_length=1, max_length=64)]
    amount: AmountText
    asset_code: AssetCode = "USDC"
    network: NetworkName = "base"
    authorized: bool = False
    authorize_within_s: Annotated[int, Field(ge=1, le=LIVES_S)] = LIVES_S
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.money
        if self.asset_code not in NETWORKS[self.network].assets:
            raise RouteUnsupported(f"{self.network} does not carry {self.asset_code}")

    @property
    def intent_id(self) -> str:
        return self.id if self.id.startswith("pi_") else f"pi_{self.id}"

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def fee(self) -> Money:
        return fee_estimate(self.network, self.asset_code)

    @property
    def total(self) -> Money:
        return Money(self.money.amount_minor + self.fee.amount_minor, self.asset_code)

    @property
    def confirmations(self) -> int:
        return NETWORKS[self.network].confirmations

    @property
    def hold_id(self) -> str:
        return f"{self.intent_id}/hold"

    @property
    def chain_faults(self) -> Faults:
        return self.sandbox.get("chain", NO_FAULTS)


@dataclass(frozen=True)
class Authorization:
    """The argument of `authorize`. `by` is an id: of a device, a session, a key."""

    by: str = ""


def fee_estimate(network: NetworkName, asset_code: str) -> Money:
    """What the network takes, in the asset that is sent; rounded up."""
    units = Decimal(NETWORKS[network].fee_usd) / Decimal(USD_RATES[asset_code])
    minor = units.scaleb(exponent(asset_code)).to_integral_value(ROUND_UP)
    return Money(int(minor), asset_code)
