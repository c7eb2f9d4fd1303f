"""Trace context (W3C): which story a POST belongs to, for a receiver that traces its own work.

All POSTs of one workflow's events share a trace id, and so do all attempts at an event that has no
workflow; each attempt is a parent of its own. Made from ids that are known: nothing is stored.
"""

import hashlib
from typing import Final

VERSION: Final = "00"
NOT_RECORDED: Final = "00"  # We keep no spans, so a receiver decides for itself what to sample.


def traceparent(story_id: str, delivery_id: str, attempt_number: int) -> str:
    """The header's value. `story_id` is the workflow's id, or the event's where it has none."""
    trace_id = hashlib.sha256(story_id.encode()).hexdigest()[:32]
    parent_id = hashlib.sha256(f"{delivery_id}/{attempt_number}".encode()).hexdigest()[:16]
    return f"{VERSION}-{trace_id}-{parent_id}-{NOT_RECORDED}"
