"""Reversals: paying a completed transfer back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

from domain.catalogue.model import ReasonCode
from domain.saga import SagaRequest

REVERSAL_WINDOW: Final = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class ReverseTransferRequest(SagaRequest):
    """Pay a completed transfer back. `id` is the reversal's own, a transfer like any other.

    Kept: a `reason` in words, `authorized_by`. `refund_fee` gives the sender the fee back, too.
    """

    transfer_uuid: Annotated[str, Field(min_length=1, max_length=64)]
    reason_code: ReasonCode = "requested_by_sender"
    refund_fee: bool = False

    @property
    def hold_id(self) -> str:
        return f"{self.id}/reversal-hold"
