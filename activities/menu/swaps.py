"""What a workflow may do to swap tokens on another chain."""

from abc import ABC, abstractmethod

from temporalio import activity

from domain.saga import StepCall
from domain.swap import BridgedSwap, CrossChainSwapRequest, EndedSwap, Swapped, SwapQuote


class SwapActivities(ABC):
    """Quoted; then, once the tokens have arrived: reserved, swapped, delivered."""

    @activity.defn
    @abstractmethod
    async def quote_swap(self, call: StepCall[CrossChainSwapRequest]) -> SwapQuote:
        """Ask the market. Refuses slippage_exceeded, where it is clear from the start."""

    @activity.defn
    @abstractmethod
    async def reserve_bridged(self, call: StepCall[BridgedSwap]) -> str | None:
        """Set aside what arrived. None, or why that cannot be: its owner was faster."""

    @activity.defn
    @abstractmethod
    async def swap_bridged(self, call: StepCall[BridgedSwap]) -> Swapped:
        """Swap it for no less than the minimum. A market that refuses is an answer, too."""

    @activity.defn
    @abstractmethod
    async def deliver_swap(self, call: StepCall[EndedSwap]) -> None:
        """Post what came out, or give the bridged tokens free; tell `swap.completed`."""
