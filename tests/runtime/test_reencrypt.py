import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks import Webhook
from temporalio.client import Client
from typer.testing import CliRunner, Result

from cli.main import make_app
from domain.signing import new_secret
from runtime.database import Database
from runtime.reencrypt import reencrypt
from runtime.vault import Vault, WrongKey
from storage import sealed
from storage.idempotency import AskedOnce, KeptAnswer, keep_answer
from storage.migrate import upgrade
from storage.sealed import SealedKind
from tests.conftest import TENANT, fresh_database
from tests.lifecycle import House, eventually, lifecycle_settings, own_queue, sending
from tests.runtime.receivers import OK, always, receiving

OLD, NEW = b"o" * 32, b"n" * 32
BOTH = Vault([NEW, OLD])


@pytest_asyncio.fixture
async def house(database: Database) -> AsyncIterator[House]:
    """Everything in it was encrypted before there was a new key."""
    yield House(database, Vault([OLD]))


async def test_everything_moves_to_the_newest_key_and_the_old_one_can_go(house: House) -> None:
    endpoint_ids = [await full_endpoint(house, f"secret header {number}") for number in range(7)]
    await keep(house, "the answer")

    done = await reencrypt(house.database, BOTH, batch=3)

    assert done.moved == {kind: 1 if kind is SealedKind.ANSWERS else 7 for kind in SealedKind}
    assert not done.unopened
    only_new = Vault([NEW])
    for number, endpoint_id in enumerate(endpoint_ids):
        assert headers(only_new, await sealed_headers(house, endpoint_id), endpoint_id) == {
            "X-Key": f"secret header {number}"
        }
    for row in await house.rows("SELECT id, sealed, key_id FROM endpoint_secrets"):
        assert only_new.open(row.sealed, bound_to=row.id).startswith(b"whsec_")
        assert row.key_id == only_new.key_id
    assert only_new.open(await kept_text(house), bound_to=f"{TENANT} POST /x k") == b"the answer"
    again = await reencrypt(house.database, BOTH)
    assert again.moved.total() == 0


async def test_a_row_that_was_changed_meanwhile_is_left_as_it_is(house: House) -> None:
    endpoint_id = await full_endpoint(house, "before")
    async with house.database.read() as session:
        [read] = await sealed.sealed_by_others(
            session, SealedKind.HEADERS, BOTH.key_id, after=(), most=10
        )
    changed = house.vault.seal(b'{"X-Key":"after"}', bound_to=endpoint_id)
    await house.execute("UPDATE endpoints SET headers_sealed = :text", text=changed)

    replaced = await house.database.transact(
        lambda session: sealed.replace(
            session, read, BOTH.seal(b"{}", bound_to=endpoint_id), BOTH.key_id
        )
    )

    assert not replaced
    text = await sealed_headers(house, endpoint_id)
    assert headers(house.vault, text, endpoint_id) == {"X-Key": "after"}


async def test_what_no_key_opens_is_told_and_left_alone(house: House) -> None:
    await full_endpoint(house, "x")
    lost = House(house.database, Vault([b"l" * 32]))
    await lost.endpoint()

    done = await reencrypt(house.database, BOTH)

    assert done.moved[SealedKind.SECRETS] == 1
    [unopened] = done.unopened
    with pytest.raises(WrongKey):
        BOTH.open(unopened.text, bound_to=unopened.bound_to)


async def test_how_much_each_key_encrypts_is_counted(house: House) -> None:
    await full_endpoint(house, "x")
    await House(house.database, BOTH).endpoint()
    await keep(house, "the answer")

    async with house.database.read() as session:
        counted = {kind: await sealed.count_by_key(session, kind) for kind in SealedKind}

    old, new = house.vault.key_id, BOTH.key_id
    assert counted[SealedKind.SECRETS] == {old: 1, new: 1}
    assert counted[SealedKind.HEADERS] == {old: 1}
    [(prefix, number)] = counted[SealedKind.ANSWERS].items()
    assert old.startswith(prefix)
    assert number == 1


async def test_deliveries_go_on_and_stay_signed_while_their_secrets_are_encrypted_anew(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lifecycle_settings(tmp_path, secrets_key=keys(NEW, OLD))
    async with (
        fresh_database(settings.resolved_database_url) as database,
        receiving(always(OK)) as receiver,
    ):
        house = House(database, Vault([OLD]))
        secret = new_secret()
        for _ in range(20):
            await house.endpoint(secret, url=receiver.url)
        async with sending(house, temporal, settings, own_queue(monkeypatch)):
            publishing = asyncio.create_task(publish_for_ever(house))
            await eventually(lambda: some(receiver.heads, 40))

            done = await reencrypt(database, BOTH, batch=2)

            enough = len(receiver.heads) + 40
            await eventually(lambda: some(receiver.heads, enough))
            publishing.cancel()
            with suppress(asyncio.CancelledError):
                await publishing
            await eventually(lambda: nothing_left(house))

        assert done.moved[SealedKind.SECRETS] == 20
        for head, body in zip(receiver.heads, receiver.bodies, strict=True):
            lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
            sent = {name.lower(): value for name, value in lines.items()}
            moment = datetime.fromtimestamp(int(sent["webhook-timestamp"]), UTC)
            assert datetime.now(UTC) - moment < timedelta(minutes=5)
            Webhook(secret.reveal()).verify(body.decode(), sent)
        assert not await house.value("SELECT count(*) FROM deliveries WHERE attempts <> 1")


def test_the_command_makes_a_key_moves_to_it_and_shows_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGAPOST_DATA_DIR", str(tmp_path))
    upgrade(f"sqlite+aiosqlite:///{tmp_path / 'sagapost.db'}")
    assert run("status").exit_code == 0

    assert "start every process again" in run("new-key").stdout
    asyncio.run(add_endpoint(tmp_path))
    behind, moved, after = run("status"), run("reencrypt"), run("status")

    assert behind.exit_code == 1
    assert "old: `sagapost secrets reencrypt` moves it" in behind.stdout
    assert "signing secrets: 1 moved" in moved.stdout
    assert after.exit_code == 0
    assert oct((tmp_path / "secrets-key").stat().st_mode)[-3:] == "600"


async def full_endpoint(house: House, header: str) -> str:
    endpoint = await house.endpoint()
    text = house.vault.seal(json.dumps({"X-Key": header}).encode(), bound_to=endpoint.id)
    await house.execute(
        "UPDATE endpoints SET headers_sealed = :text WHERE id = :id", text=text, id=endpoint.id
    )
    return endpoint.id


async def sealed_headers(house: House, endpoint_id: str) -> bytes:
    query = "SELECT headers_sealed FROM endpoints WHERE id = :id"
    return bytes(await house.value(query, id=endpoint_id))


def headers(vault: Vault, text: bytes, endpoint_id: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(vault.open(text, bound_to=endpoint_id))
    return found


async def keep(house: House, answer: str) -> None:
    text = house.vault.seal(answer.encode(), bound_to=f"{TENANT} POST /x k")
    kept = KeptAnswer("", 200, base64.b64encode(text).decode(), {})
    asked = AskedOnce(TENANT, "POST /x", "k", "")
    await house.database.transact(lambda session: keep_answer(session, asked, kept))


async def kept_text(house: House) -> bytes:
    answer = await house.value("SELECT answer FROM idempotency_keys")
    kept = json.loads(answer) if isinstance(answer, str) else answer
    return base64.b64decode(kept["sealed"])


async def publish_for_ever(house: House) -> None:
    while True:
        await house.publish()
        await asyncio.sleep(0.05)


async def some(found: list[bytes], number: int) -> bool:
    return len(found) >= number


async def nothing_left(house: House) -> bool:
    return not await house.value("SELECT count(*) FROM deliveries WHERE state <> 'succeeded'")


async def add_endpoint(folder: Path) -> None:
    """With the key that was there first: the file now has a newer one in front of it."""
    _, old = (folder / "secrets-key").read_text().strip().split(",")
    database = Database(f"sqlite+aiosqlite:///{folder / 'sagapost.db'}")
    house = House(database, Vault([base64.b64decode(old)]))
    await house.tenant(TENANT)
    await house.endpoint()
    await database.close()


def keys(*raw: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in raw)


def run(command: str) -> Result:
    return CliRunner().invoke(make_app(), ["secrets", command])
