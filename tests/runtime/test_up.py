"""`sagapost up` makes one key, keeps it, and tells it again on later starts."""

import stat
from pathlib import Path

import pytest

from cli.up import prepare_database
from domain.api_keys import new_key
from runtime.data_folder import make_data_folder
from runtime.errors import DatabaseUnusable, RootKeyUnusable
from runtime.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_data_folder(tmp_path / "data")
    return tmp_path / "data"


async def test_the_first_key_is_told_again_on_later_starts(folder: Path) -> None:
    settings = Settings(data_dir=folder)
    made = await prepare_database(settings)
    assert made is not None
    assert await prepare_database(settings) == made
    assert stat.S_IMODE((folder / "root-key").stat().st_mode) == 0o600


async def test_a_given_key_is_the_first_one(folder: Path) -> None:
    key = new_key()
    assert await prepare_database(Settings(data_dir=folder, root_api_key=key)) == key
    assert await prepare_database(Settings(data_dir=folder)) == key


async def test_a_key_made_elsewhere_is_not_known_here(folder: Path) -> None:
    settings = Settings(data_dir=folder)
    await prepare_database(settings)
    (folder / "root-key").unlink()
    assert await prepare_database(settings) is None


async def test_a_given_key_that_will_not_do_is_refused(folder: Path) -> None:
    with pytest.raises(RootKeyUnusable, match="SAGAPOST_ROOT_API_KEY"):
        await prepare_database(Settings(data_dir=folder, root_api_key="short"))


async def test_a_database_that_does_not_answer_is_told_plainly(folder: Path) -> None:
    nobody = Settings(data_dir=folder, database_url="postgresql://user:hush@127.0.0.1:1/bank")
    with pytest.raises(DatabaseUnusable, match="correct SAGAPOST_DATABASE_URL") as caught:
        await prepare_database(nobody)
    assert "hush" not in str(caught.value)
