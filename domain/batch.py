"""What the relay, the delivery workflows and their activities say to each other: ids only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claimed:
    """Deliveries claimed together. The rows carry the claim's id; history carries nothing else."""

    claim_id: str
    size: int


@dataclass(frozen=True)
class ClaimSent:
    """What became of a claim's first attempts. `to_retry` are delivery ids."""

    succeeded: int
    settled: int
    to_retry: tuple[str, ...]


@dataclass(frozen=True)
class RetryRequest:
    """One delivery whose first attempt did not settle it."""

    delivery_id: str


@dataclass(frozen=True)
class RecoveryRequest:
    """One endpoint that is parked, or recovering."""

    endpoint_id: str
