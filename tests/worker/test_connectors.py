"""Which class stands behind an outside party's port."""

from datetime import timedelta
from pathlib import Path

import pytest

from activities.bridges import ConnectedBridgeActivities
from activities.connectors.bridge import Bridge, SandboxBridge
from domain.bridge import Arrival, BridgeQuote, Route
from domain.money import Money
from domain.sandbox import NO_FAULTS, Faults
from runtime.database import Database
from runtime.settings import Settings
from storage.types import utc_now
from worker.build import saga_implementations
from worker.connectors import Connectors, NoSuchConnector, named_in


class OwnBridge(Bridge):
    """As another package would bring it."""

    def __init__(self, settings: Settings) -> None:
        self.valid_for = timedelta(seconds=settings.api_port)

    async def quote(self, quote_id: str, route: Route, money: Money, faults: Faults) -> BridgeQuote:
        return BridgeQuote(quote_id, 7, utc_now() + self.valid_for)

    async def submit(
        self, submission_id: str, quote: BridgeQuote, route: Route, money: Money, faults: Faults
    ) -> str:
        raise NotImplementedError

    async def arrival(
        self, submission_id: str, route: Route, *, give_up: bool, faults: Faults
    ) -> Arrival | None:
        raise NotImplementedError

    async def refund(self, submission_id: str) -> str | None:
        raise NotImplementedError


def no_bridge(settings: Settings) -> object:
    return settings


async def test_a_setting_puts_a_real_class_behind_a_port(sqlite: Database, tmp_path: Path) -> None:
    settings = naming("bridge=tests.worker.test_connectors:OwnBridge", tmp_path)
    route = Route("ethereum", "base", "sandbox", "USDC")

    bridge: Bridge = Connectors(settings, sqlite).of("bridge", SandboxBridge)

    quote = await bridge.quote("quote_1", route, Money(1_000, "USDC"), NO_FAULTS)
    assert quote.fee_minor == 7
    built = saga_implementations(settings, sqlite)
    assert any(isinstance(one, ConnectedBridgeActivities) for one in built)


def test_without_a_setting_it_is_the_sandbox(sqlite: Database, tmp_path: Path) -> None:
    bridge: Bridge = Connectors(naming("", tmp_path), sqlite).of("bridge", SandboxBridge)

    assert isinstance(bridge, SandboxBridge)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("brigde=tests.worker.test_connectors:OwnBridge", "there is no outside party brigde"),
        ("bridge=tests.worker.test_connectors:NoBridge", "has no attribute 'NoBridge'"),
        ("bridge=nowhere:Bridge", "No module named 'nowhere'"),
        ("bridge=tests.worker.test_connectors:no_bridge", "makes no Bridge"),
    ],
)
def test_a_worker_does_not_start_with_a_connector_that_is_none(
    sqlite: Database, tmp_path: Path, setting: str, complaint: str
) -> None:
    with pytest.raises(NoSuchConnector, match=complaint):
        saga_implementations(naming(setting, tmp_path), sqlite)


def test_several_parties_are_named_in_one_setting() -> None:
    assert named_in("bridge=a.b:C, fx=d:e") == {"bridge": "a.b:C", "fx": "d:e"}


def naming(connectors: str, folder: Path) -> Settings:
    return Settings(data_dir=folder, connectors=connectors)
