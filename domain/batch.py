"""What the relay, the delivery workflows and their activities say to each other: ids only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claimed:
    """Deliveries claimed together. The rows carry the claim's id; history carries nothing else."""

    claim_id: str
    size: int


@dataclass(frozen=True)
class ClaimSent:
    """What became of a claim's first attempts. Each that is retrying has a workflow of its own."""

    succeeded: int
    settled: int
    retrying: int
    parked: int


@dataclass(frozen=True)
class RetryRequest:
    """One delivery whose first attempt did not settle it."""

    delivery_id: str


@dataclass(frozen=True)
class RecoveryRequest:
    """One endpoint that is parked, or recovering."""

    endpoint_id: str
