"""What the retention schedule asks for, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum


class Pruning(StrEnum):
    """Kinds of rows that grow old. Events go with their deliveries, attempts and changes."""

    EVENTS = "events"
    ANSWERS = "idempotency_keys"
    REPLAYS = "replay_jobs"
    SDKS = "sdk_generations"
    ACCESS = "key_uses"


@dataclass(frozen=True)
class PruneRequest:
    what: Pruning


@dataclass(frozen=True)
class Pruned:
    """How many rows went, by their kind."""

    what: Pruning
    rows: dict[str, int]
