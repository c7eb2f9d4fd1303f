import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.api_keys import LIVE, TEST, check_own_key, key_id, key_prefix, new_key


@pytest.mark.parametrize("prefix", [LIVE, TEST])
def test_a_new_key_carries_its_id(prefix: str) -> None:
    key = new_key(prefix)

    assert key_prefix(key) == prefix
    assert key_id(key) == key.split("_")[2]
    check_own_key(key)


@given(place=st.integers(8, 40), letter=st.sampled_from(string.ascii_letters + string.digits))
def test_one_wrong_letter_is_told_without_a_database(place: int, letter: str) -> None:
    key = new_key()
    changed = key[:place] + letter + key[place + 1 :]

    assert key_id(changed) is None or changed == key


def test_an_operators_own_key_is_found_by_its_digest() -> None:
    own = "correct-horse-battery-staple"
    check_own_key(own)

    assert key_id(own) == key_id(own)
    assert key_id(own) != key_id(f"{own}!")


@pytest.mark.parametrize(
    "own", ["", "too-short", "with spaces in between the words", "sp_live_x" * 4]
)
def test_a_bad_key_of_ones_own_says_why(own: str) -> None:
    with pytest.raises(ValueError, match=r"API key has|checksum"):
        check_own_key(own)
