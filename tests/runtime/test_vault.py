import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.vault import Vault, WrongKey

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
SECRET = b"whsec_c2VjcmV0"


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealed = Vault([NEW]).seal(SECRET, bound_to="sec_1")

    assert SECRET not in sealed
    assert Vault([NEW]).open(sealed, bound_to="sec_1") == SECRET


def test_the_same_secret_is_sealed_differently_every_time() -> None:
    vault = Vault([NEW])

    assert len({vault.seal(SECRET, bound_to="sec_1") for _ in range(1_000)}) == 1_000


def test_a_sealed_text_opens_only_in_its_own_row() -> None:
    sealed = Vault([NEW]).seal(SECRET, bound_to="sec_1")

    with pytest.raises(WrongKey):
        Vault([NEW]).open(sealed, bound_to="sec_2")


def test_the_newest_key_seals_and_the_older_ones_still_open() -> None:
    before = Vault([OLD]).seal(SECRET, bound_to="sec_1")
    vault = Vault([NEW, OLD])

    after = vault.seal(SECRET, bound_to="sec_1")

    assert vault.open(before, bound_to="sec_1") == SECRET
    assert Vault([NEW]).open(after, bound_to="sec_1") == SECRET
    assert vault.key_id == Vault([NEW]).key_id != Vault([OLD]).key_id


def test_a_key_that_was_taken_away_is_missed_by_its_id() -> None:
    sealed = Vault([OLD]).seal(SECRET, bound_to="sec_1")

    with pytest.raises(WrongKey, match=Vault([OLD]).key_id):
        Vault([NEW]).open(sealed, bound_to="sec_1")


@pytest.mark.parametrize("position", range(0, 46, 5))
def test_a_text_with_one_bit_changed_does_not_open(position: int) -> None:
    sealed = bytearray(Vault([NEW]).seal(SECRET, bound_to="sec_1"))
    sealed[position] ^= 1

    with pytest.raises(WrongKey):
        Vault([NEW]).open(bytes(sealed), bound_to="sec_1")


@given(st.integers(0, 45))
def test_a_text_that_was_cut_off_does_not_open(length: int) -> None:
    sealed = Vault([NEW]).seal(SECRET, bound_to="sec_1")

    with pytest.raises(WrongKey):
        Vault([NEW]).open(sealed[:length], bound_to="sec_1")


def test_no_key_is_shown_by_a_vault_or_by_an_error() -> None:
    vault = Vault([NEW, OLD])

    with pytest.raises(WrongKey) as wrong:
        vault.open(b"\0" * 60, bound_to="sec_1")

    for shown in (repr(vault), str(wrong.value), repr(vars(vault))):
        assert NEW.hex() not in shown
        assert repr(NEW)[2:-1] not in shown
