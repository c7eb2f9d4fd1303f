from datetime import timedelta

import pytest

from domain.delivery import SETTLED, Decision, DeliveryState, DisableEndpoint, Park, Retry, Settle
from domain.health import Health
from domain.recording import Final, Standing, finally_decided

RETRY = Retry(timedelta(seconds=5), "http_500")
AT_ONCE = Retry(timedelta(), "http_500")
DELIVERED = Settle(DeliveryState.SUCCEEDED, "delivered")
EXHAUSTED = Settle(DeliveryState.DEAD_LETTERED, "exhausted")
CLAIMED, RETRYING, PARKED = DeliveryState.CLAIMED, DeliveryState.RETRYING, DeliveryState.PARKED
DEAD, SUCCEEDED = DeliveryState.DEAD_LETTERED, DeliveryState.SUCCEEDED


@pytest.mark.parametrize(
    ("decision", "standing", "final"),
    [
        (DELIVERED, Standing(CLAIMED, Health.HEALTHY), Final(DELIVERED, SUCCEEDED, "delivered")),
        (RETRY, Standing(CLAIMED, Health.FAILING), Final(RETRY, RETRYING, "http_500")),
        (
            RETRY,
            Standing(CLAIMED, Health.PARKED),
            Final(Park("endpoint_parked"), PARKED, "endpoint_parked"),
        ),
        (
            RETRY,
            Standing(RETRYING, Health.DISABLED),
            Final(Park("endpoint_disabled"), PARKED, "endpoint_disabled"),
        ),
        (
            RETRY,
            Standing(CLAIMED, Health.HEALTHY, "paused"),
            Final(Park("paused"), PARKED, "paused", "paused"),
        ),
        (
            RETRY,
            Standing(PARKED, Health.HEALTHY, "paused"),
            Final(RETRY, PARKED, "paused", "paused"),
        ),
        (
            DELIVERED,
            Standing(PARKED, Health.HEALTHY, "paused"),
            Final(DELIVERED, SUCCEEDED, "delivered"),
        ),
        (EXHAUSTED, Standing(RETRYING, Health.HEALTHY), Final(EXHAUSTED, DEAD, "exhausted")),
        (
            RETRY,
            Standing(RETRYING, Health.HEALTHY, asked_again=True),
            Final(AT_ONCE, RETRYING, "http_500", asked_again=True),
        ),
        (
            RETRY,
            Standing(RETRYING, Health.PARKED, asked_again=True),
            Final(Park("endpoint_parked"), PARKED, "endpoint_parked"),
        ),
        (
            RETRY,
            Standing(PARKED, Health.HEALTHY, "paused", asked_again=True),
            Final(RETRY, PARKED, "paused", "paused"),
        ),
        (
            DELIVERED,
            Standing(CLAIMED, Health.HEALTHY, asked_again=True),
            Final(DELIVERED, SUCCEEDED, "delivered"),
        ),
        (
            EXHAUSTED,
            Standing(RETRYING, Health.HEALTHY, parks_key=True),
            Final(Park("key_parked"), PARKED, "exhausted", "key_parked"),
        ),
        (
            DELIVERED,
            Standing(RETRYING, Health.HEALTHY, parks_key=True),
            Final(DELIVERED, SUCCEEDED, "delivered"),
        ),
        (
            DisableEndpoint("gone", Settle(DEAD, "gone")),
            Standing(CLAIMED, Health.DISABLED),
            Final(DisableEndpoint("gone", Settle(DEAD, "gone")), DEAD, "gone"),
        ),
    ],
)
def test_what_is_written_when_things_changed_meanwhile(
    decision: Decision, standing: Standing, final: Final
) -> None:
    assert finally_decided(decision, standing) == final


@pytest.mark.parametrize("state", sorted(SETTLED))
@pytest.mark.parametrize("decision", [RETRY, DELIVERED, EXHAUSTED])
def test_what_is_settled_stays_as_it_is(state: DeliveryState, decision: Decision) -> None:
    assert finally_decided(decision, Standing(state, Health.HEALTHY)).state is None
