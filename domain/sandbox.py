"""How a sandbox of an outside party is told to misbehave, so that every failure can be shown."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

Times = Annotated[int, Field(ge=0, le=1_000)]
Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]
FieldName = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]


@dataclass(frozen=True)
class Faults:
    """What goes wrong, counted per operation.

    `refuse` answers no, with this reason code. The first `unavailable` calls are not answered and
    do nothing; then the first `lose_answer` calls are done, and their answer is lost. `delay_ms`
    comes before an answer, `confirm_after_ms` before a confirmation. `slip_percent` moves a price.
    `omit` names fields that the answer lacks.
    """

    refuse: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    unavailable: Times = 0
    lose_answer: Times = 0
    delay_ms: Milliseconds = 0
    confirm_after_ms: Milliseconds = 0
    slip_percent: Annotated[str, Field(pattern=r"^-?\d{1,2}(\.\d{1,4})?$")] = "0"
    omit: Annotated[tuple[FieldName, ...], Field(max_length=10)] = ()


NO_FAULTS: Final = Faults()
