"""The index of the catalogue: every event type by name, and what a subscription may ask for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from domain.catalogue import (
    account,
    cross_chain,
    defi,
    mobile_payment,
    partner,
    regtech,
    system,
    transfer,
    workflow,
)
from domain.catalogue.model import EventData

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

EVENT_TYPES: Final[Mapping[str, type[EventData]]] = {
    event.event_type: event
    for event in (
        *account.EVENTS,
        *transfer.EVENTS,
        *workflow.EVENTS,
        *system.EVENTS,
        *cross_chain.EVENTS,
        *defi.EVENTS,
        *regtech.EVENTS,
        *mobile_payment.EVENTS,
        *partner.EVENTS,
    )
}


def categories() -> dict[str, list[type[EventData]]]:
    """The event types by category, in the order in which they are documented."""
    by_category: dict[str, list[type[EventData]]] = {}
    for event in EVENT_TYPES.values():
        by_category.setdefault(event.category, []).append(event)
    return by_category


def json_schema(event_type: str) -> dict[str, Any]:
    """The schema of `data`, complete in itself. KeyError if there is no such type."""
    event = EVENT_TYPES[event_type]
    return {
        "$schema": SCHEMA_DIALECT,
        **event.model_json_schema(mode="serialization"),
        "title": event_type,
        "description": event.description,
    }


def _patterns_for(event: type[EventData]) -> Iterator[str]:
    """The patterns that cover one type: its name, every prefix of it, its category, everything."""
    yield event.event_type
    prefix = event.event_type
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        yield f"{prefix}.*"
    yield f"{event.category}.*"
    yield "*"


def _patterns() -> dict[str, frozenset[str]]:
    covered: dict[str, set[str]] = {}
    for event in EVENT_TYPES.values():
        for pattern in _patterns_for(event):
            covered.setdefault(pattern, set()).add(event.event_type)
    return {pattern: frozenset(event_types) for pattern, event_types in covered.items()}


# Every pattern that means something, with the event types it covers.
PATTERNS: Final[Mapping[str, frozenset[str]]] = _patterns()
NOTHING: Final[frozenset[str]] = frozenset()


def matches(patterns: Sequence[str], event_type: str) -> bool:
    """Whether a subscription to these patterns asks for this event type."""
    return any(event_type in PATTERNS.get(pattern, NOTHING) for pattern in patterns)


def nearest(patterns: Iterable[str], event_type: str) -> str | None:
    """Of the patterns that cover this event type the one that says most: it covers the fewest."""
    covering = [pattern for pattern in patterns if event_type in PATTERNS.get(pattern, NOTHING)]
    return min(covering, key=lambda pattern: (len(PATTERNS[pattern]), pattern), default=None)


def check_patterns(patterns: Sequence[str]) -> list[str]:
    """A sentence for every pattern that covers nothing. Empty if all of them are good."""
    return [_unknown(pattern) for pattern in patterns if pattern not in PATTERNS]


def _unknown(pattern: str) -> str:
    problem = f"unknown event type '{pattern}'"
    nearest = get_close_matches(pattern, PATTERNS, n=1)
    return f"{problem}: did you mean '{nearest[0]}'?" if nearest else problem
