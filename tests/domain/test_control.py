import pytest

from domain.control import DeliveryStateConflict, Nudge, Order, Ordered, Standing, ordered
from domain.delivery import SETTLED, DeliveryState

PENDING, CLAIMED, RETRYING, PARKED = (
    DeliveryState.PENDING,
    DeliveryState.CLAIMED,
    DeliveryState.RETRYING,
    DeliveryState.PARKED,
)
SUCCEEDED, DEAD, CANCELLED = (
    DeliveryState.SUCCEEDED,
    DeliveryState.DEAD_LETTERED,
    DeliveryState.CANCELLED,
)
NOW, PAUSE, STOP = (Nudge.RETRY_NOW,), (Nudge.PAUSE_RETRY,), (Nudge.STOP_RETRY,)
CLAIM, PROBE = (Nudge.CLAIM,), (Nudge.PROBE_NOW,)


@pytest.mark.parametrize(
    ("order", "standing", "expected"),
    [
        ("redeliver", (PENDING, "healthy"), Ordered(PENDING, nudges=CLAIM)),
        ("redeliver", (CLAIMED, "healthy"), Ordered(CLAIMED)),
        ("redeliver", (RETRYING, "healthy"), Ordered(RETRYING, nudges=NOW)),
        ("redeliver", (RETRYING, "parked"), Ordered(PARKED, nudges=(*NOW, *PROBE))),
        ("redeliver", (PARKED, "parked"), Ordered(PARKED, nudges=PROBE)),
        ("redeliver", (PARKED, "recovering"), Ordered(PENDING, nudges=CLAIM)),
        ("redeliver", (SUCCEEDED, "healthy"), Ordered(PENDING, nudges=CLAIM, again=True)),
        ("redeliver", (DEAD, "failing"), Ordered(PENDING, nudges=CLAIM, again=True)),
        ("redeliver", (CANCELLED, "parked"), Ordered(PARKED, nudges=PROBE, again=True)),
        ("cancel", (PENDING, "healthy"), Ordered(CANCELLED)),
        ("cancel", (CLAIMED, "healthy"), Ordered(CANCELLED)),
        ("cancel", (RETRYING, "healthy"), Ordered(CANCELLED, nudges=STOP)),
        ("cancel", (PARKED, "disabled"), Ordered(CANCELLED)),
        ("pause", (PENDING, "healthy"), Ordered(PARKED, "paused")),
        ("pause", (CLAIMED, "healthy"), Ordered(CLAIMED, "paused")),
        ("pause", (RETRYING, "healthy"), Ordered(PARKED, "paused", PAUSE)),
        ("pause", (PARKED, "parked"), Ordered(PARKED, "paused")),
    ],
)
def test_what_a_person_may_do_to_a_delivery(
    order: Order, standing: tuple[DeliveryState, str], expected: Ordered
) -> None:
    state, health = standing
    has_run = state is RETRYING
    assert ordered(order, Standing("dlv_1", state, health, has_run=has_run)) == expected


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing("d", PARKED, "healthy", "paused"), Ordered(PENDING, nudges=CLAIM)),
        (Standing("d", PARKED, "healthy", "paused", True), Ordered(RETRYING, nudges=NOW)),  # noqa: FBT003
        (Standing("d", PARKED, "parked", "paused"), Ordered(PARKED)),
        (Standing("d", PARKED, "parked", "paused", True), Ordered(PARKED, nudges=NOW)),  # noqa: FBT003
        (Standing("d", PARKED, "disabled", "paused"), Ordered(PARKED)),
        (Standing("d", CLAIMED, "healthy", "paused"), Ordered(CLAIMED)),
    ],
)
def test_a_paused_delivery_goes_on_where_it_was(standing: Standing, expected: Ordered) -> None:
    assert ordered("resume", standing) == expected


@pytest.mark.parametrize(
    ("order", "standing", "why"),
    [
        ("redeliver", Standing("d", DEAD, "disabled"), "enable it first"),
        ("redeliver", Standing("d", DEAD, "healthy", deleted=True), "webhook is deleted"),
        ("redeliver", Standing("d", SUCCEEDED, "healthy", expunged=True), "expunged"),
        ("resume", Standing("d", PENDING, "healthy"), "not paused"),
        ("resume", Standing("d", PARKED, "parked"), "not paused"),
        ("pause", Standing("d", PARKED, "healthy", "paused"), "it is paused"),
        *(
            ("cancel", Standing("d", state, "healthy"), f"it is {state}")
            for state in sorted(SETTLED)
        ),
        *(
            ("pause", Standing("d", state, "healthy"), f"it is {state}")
            for state in sorted(SETTLED)
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    order: Order, standing: Standing, why: str
) -> None:
    with pytest.raises(DeliveryStateConflict, match=why):
        ordered(order, standing)
