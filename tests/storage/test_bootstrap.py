import asyncio

from runtime.database import Database
from storage.bootstrap import first_key
from storage.keys import KEYS


async def test_the_first_key_is_made_once(database: Database) -> None:
    made = await asyncio.gather(*(first_key(database.url, None) for _ in range(3)))

    assert len([key for key in made if key is not None]) == 1
    assert await count(database) == 1


async def test_a_given_key_is_known_every_time(database: Database) -> None:
    given = "an-operators-own-first-key"
    assert await first_key(database.url, given) == given
    assert await first_key(database.url, given) == given
    assert await first_key(database.url, None) is None
    assert await count(database) == 1


async def count(database: Database) -> int:
    async with database.read() as session:
        return len((await session.execute(KEYS.select())).all())
