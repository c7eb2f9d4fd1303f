"""Fields that several requests share, with what they accept and how they say no."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

from domain.catalogue import JsonObject
from domain.errors import InvalidAmount
from domain.ids import new_uuid
from domain.money import parse_amount

WRITTEN_OUT: Final = re.compile(r"\d{4}-\d\d-\d\d")
AMOUNT_RULE: Final = (
    'write a decimal string in major units, like "50.00", '
    "or an integer in minor units, like 5000; a float is refused"
)


def _string_or_integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(AMOUNT_RULE)
    return value


def _written_out(value: Any) -> Any:
    """A number is not a moment: nobody could say whether it counts seconds or milliseconds."""
    if not isinstance(value, str) or not WRITTEN_OUT.match(value):
        raise ValueError("write a moment like 2026-01-31T12:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("this is before the first year, or after the last") from None


class Body(BaseModel):
    """A request. A field that we do not know is a mistake of somebody's, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Amount = Annotated[
    StrictStr | StrictInt,
    BeforeValidator(_string_or_integer),
    Field(description=AMOUNT_RULE, examples=["50.00", 5000]),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
    Field(description="without a zone it is in UTC", examples=["2026-01-31T12:00:00Z"]),
]
# No colon: a colon marks the bank's own accounts in the books. No slash: it ends a workflow's type.
Id = Annotated[
    str,
    Field(
        default_factory=new_uuid,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="an id of your own: the same id again is the same request",
    ),
]
AccountUuid = Annotated[
    str, Field(min_length=1, max_length=64, examples=["0199c5a2-0000-7000-8000-000000000001"])
]
AssetCode = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$", examples=["USD"])]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Operating account"])]
Metadata = Annotated[
    JsonObject,
    Field(
        description="yours; told with every event of the resource. Numbers are integers: "
        "write decimals as strings"
    ),
]


def minor_units(amount: str | int, asset_code: str) -> int:
    """Zero or more. Raises InvalidAmount, InvalidAssetCode."""
    if amount in (0, "0"):
        return 0
    try:
        return parse_amount(amount, asset_code).amount_minor
    except InvalidAmount:
        if isinstance(amount, str) and not amount.strip("0."):
            return 0
        raise
