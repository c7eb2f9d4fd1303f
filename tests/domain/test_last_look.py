"""The last look before a POST, answer by answer."""

import itertools

import pytest

from domain.control import KEY_PARKED, PAUSED
from domain.delivery import SETTLED, DeliveryState
from domain.health import Health
from domain.last_look import Found, Word, last_word

CLAIMED, RETRYING, PARKED = DeliveryState.CLAIMED, DeliveryState.RETRYING, DeliveryState.PARKED


@pytest.mark.parametrize(
    ("loaded_as", "found", "word"),
    [
        (CLAIMED, Found(CLAIMED, None, Health.HEALTHY), Word.SEND),
        (CLAIMED, Found(CLAIMED, None, Health.FAILING), Word.SEND),
        (CLAIMED, Found(CLAIMED, None, Health.RECOVERING), Word.SEND),
        (CLAIMED, Found(CLAIMED, None, Health.PARKED), Word.PARK),
        (CLAIMED, Found(CLAIMED, None, Health.DISABLED), Word.PARK),
        (CLAIMED, Found(CLAIMED, PAUSED, Health.HEALTHY), Word.PAUSE),
        (CLAIMED, Found(CLAIMED, PAUSED, Health.DISABLED), Word.PAUSE),
        (RETRYING, Found(RETRYING, None, Health.HEALTHY), Word.SEND),
        (RETRYING, Found(RETRYING, None, Health.PARKED), Word.PARK),
        (RETRYING, Found(PARKED, PAUSED, Health.HEALTHY), Word.LEAVE),
    ],
)
def test_what_was_changed_while_it_waited_counts(
    loaded_as: DeliveryState, found: Found, word: Word
) -> None:
    assert last_word(loaded_as, found) is word


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Found(PARKED, None, Health.PARKED), Word.SEND),
        (Found(PARKED, KEY_PARKED, Health.PARKED), Word.SEND),
        (Found(PARKED, None, Health.DISABLED), Word.LEAVE),
        (Found(PARKED, PAUSED, Health.PARKED), Word.LEAVE),
        (Found(DeliveryState.CANCELLED, None, Health.PARKED), Word.LEAVE),
    ],
)
def test_a_probe_goes_to_a_parked_endpoint_and_to_no_disabled_one(found: Found, word: Word) -> None:
    assert last_word(PARKED, found, is_probe=True) is word


def test_what_is_settled_is_never_sent_whatever_else_is_so() -> None:
    for state, hold, health, is_probe in itertools.product(
        SETTLED, (None, PAUSED), Health, (False, True)
    ):
        loaded_as = PARKED if is_probe else CLAIMED
        assert last_word(loaded_as, Found(state, hold, health), is_probe=is_probe) is Word.LEAVE
