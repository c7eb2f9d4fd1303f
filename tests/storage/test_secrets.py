from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.rotation import KeyPairExists, NoKeyPair, NoRotation, RotationUnderWay
from domain.signing import Secret, SigningKey, live_keys, new_secret
from runtime.database import Database
from runtime.safe import open_secret, public_keys, seal_key_pair, seal_secret
from storage import secrets
from storage.lifecycle_tables import SecretRotation
from storage.secrets import RotationOrder
from storage.tables import Endpoint
from tests.lifecycle import BY, House

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_old_and_new_sign_until_the_overlap_ends_and_then_only_the_new(house: House) -> None:
    endpoint = await house.endpoint(old := new_secret())
    rotation = await rotate(house, endpoint, new := "whsec_" + "bmV3" * 8)

    assert rotation.ends_at == NOW + DAY
    assert await signing(house, endpoint, NOW) == [new, old.reveal()]
    assert await signing(house, endpoint, NOW + DAY - INSTANT) == [new, old.reveal()]
    assert await signing(house, endpoint, NOW + DAY) == [new]


async def test_no_overlap_means_that_the_old_one_stops_at_once(house: House) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint, new := "whsec_" + "bmV3" * 8, overlap=timedelta())

    assert await signing(house, endpoint, NOW) == [new]


async def test_rolled_back_the_new_one_stops_at_once_and_the_old_one_lives_on(house: House) -> None:
    endpoint = await house.endpoint(old := new_secret())
    await rotate(house, endpoint)

    await roll_back(house, endpoint, at=NOW + DAY / 2)

    for moment in (NOW + DAY / 2, NOW + DAY, NOW + 365 * DAY):
        assert await signing(house, endpoint, moment) == [old.reveal()]


async def test_an_overlapping_rotation_is_refused_and_says_until_when(house: House) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint)

    with pytest.raises(RotationUnderWay) as refused:
        await rotate(house, endpoint, at=NOW + DAY - INSTANT)

    assert refused.value.details["ends_at"] == (NOW + DAY).isoformat()


async def test_the_next_rotation_is_accepted_when_the_overlap_is_over_whoever_wrote_its_end(
    house: House,
) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint, second := "whsec_" + "c2Vj" * 8)
    await rotate(house, endpoint, third := "whsec_" + "dGhp" * 8, at=NOW + DAY)

    assert await signing(house, endpoint, NOW + DAY) == [third, second]
    assert await signing(house, endpoint, NOW + 2 * DAY) == [third]
    states = await house.rows("SELECT state FROM secret_rotations ORDER BY id")
    assert [state for (state,) in states] == ["completed", "overlapping"]


async def test_nothing_to_roll_back_is_refused(house: House) -> None:
    endpoint = await house.endpoint()

    with pytest.raises(NoRotation):
        await roll_back(house, endpoint, at=NOW)
    await rotate(house, endpoint)
    with pytest.raises(NoRotation):
        await roll_back(house, endpoint, at=NOW + DAY)


async def test_rolled_back_it_can_be_rotated_again(house: House) -> None:
    endpoint = await house.endpoint(old := new_secret())
    await rotate(house, endpoint)
    await roll_back(house, endpoint, at=NOW)
    await rotate(house, endpoint, again := "whsec_" + "YWdh" * 8, at=NOW + INSTANT)

    assert await signing(house, endpoint, NOW + INSTANT) == [again, old.reveal()]


async def test_a_key_pair_signs_beside_the_secret_and_shows_its_public_half_only(
    house: House,
) -> None:
    endpoint = await house.endpoint()
    shown = await add_pair(house, endpoint)

    async with house.database.read() as session:
        rows = await secrets.secrets_of(session, endpoint.id)

    assert list(public_keys(house.vault, rows).values()) == [shown]
    assert shown.startswith("whpk_")
    assert len(await signing(house, endpoint, NOW)) == 2
    with pytest.raises(KeyPairExists):
        await add_pair(house, endpoint)


async def test_a_key_pair_is_rotated_and_the_secret_stays(house: House) -> None:
    endpoint = await house.endpoint(old := new_secret())
    with pytest.raises(NoKeyPair):
        await rotate_pair(house, endpoint)
    await add_pair(house, endpoint)

    await rotate_pair(house, endpoint)

    assert len(await signing(house, endpoint, NOW)) == 3
    after = await signing(house, endpoint, NOW + DAY)
    assert len(after) == 2
    assert old.reveal() in after


async def test_a_removed_key_pair_signs_no_more(house: House) -> None:
    endpoint = await house.endpoint(old := new_secret())
    await add_pair(house, endpoint)

    await remove_pair(house, endpoint)

    assert await signing(house, endpoint, NOW) == [old.reveal()]
    with pytest.raises(NoKeyPair):
        await remove_pair(house, endpoint)


async def test_every_change_of_a_secret_leaves_who_and_when(house: House) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint)
    await roll_back(house, endpoint, at=NOW + INSTANT)

    async with house.database.read() as session:
        changes = await secrets.secret_changes_of(session, endpoint.id)

    assert [(change.change, change.actor, change.at) for change in changes] == [
        ("created", BY, NOW),
        ("expires", BY, NOW),
        ("rolled_back", "somebody", NOW + INSTANT),
        ("revived", "somebody", NOW + INSTANT),
    ]


async def test_the_text_of_a_secret_is_in_no_column(house: House) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint, secret := "whsec_" + "bmV3" * 8)

    for table in ("endpoint_secrets", "secret_rotations", "secret_changes"):
        for row in await house.rows(f"SELECT * FROM {table}"):
            assert secret not in repr(tuple(row))


async def rotate(
    house: House,
    endpoint: Endpoint,
    text: str | None = None,
    *,
    at: datetime = NOW,
    overlap: timedelta = DAY,
) -> SecretRotation:
    secret = new_secret() if text is None else Secret(text)
    order = RotationOrder(seal_secret(house.vault, endpoint.id, secret), BY, overlap)
    return await house.database.transact(
        lambda session: secrets.rotate(session, endpoint, order, now=at)
    )


async def rotate_pair(house: House, endpoint: Endpoint) -> None:
    pair, _ = seal_key_pair(house.vault, endpoint.id)
    await house.database.transact(
        lambda session: secrets.rotate(session, endpoint, RotationOrder(pair, BY, DAY), now=NOW)
    )


async def roll_back(house: House, endpoint: Endpoint, *, at: datetime) -> None:
    await house.database.transact(
        lambda session: secrets.roll_back(session, endpoint, actor="somebody", now=at)
    )


async def add_pair(house: House, endpoint: Endpoint) -> str:
    pair, public = seal_key_pair(house.vault, endpoint.id)
    await house.database.transact(
        lambda session: secrets.add_key_pair(session, endpoint, pair, actor=BY, now=NOW)
    )
    return public


async def remove_pair(house: House, endpoint: Endpoint) -> None:
    async def work(session: AsyncSession) -> None:
        await secrets.remove_key_pair(session, endpoint, actor=BY, now=NOW)

    await house.database.transact(work)


async def signing(house: House, endpoint: Endpoint, moment: datetime) -> list[str]:
    """The secrets that sign at that moment, the newest first."""
    async with house.database.read() as session:
        rows = await secrets.secrets_of(session, endpoint.id)
    keys = [
        SigningKey(open_secret(house.vault, row), row.created_at, row.expires_at) for row in rows
    ]
    return [key.secret.reveal() for key in live_keys(keys, moment)]
