"""Every implementation of every port, built once and handed to the workers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

from temporalio.client import Client

from activities.account_changes import SqlAccountChangeActivities
from activities.accounts import SqlAccountActivities
from activities.addressees import AddressBook
from activities.bookings import SqlLedgerActivities
from activities.bridges import ConnectedBridgeActivities
from activities.bulk_transfers import SqlBulkTransferActivities
from activities.closings import SqlClosingActivities
from activities.connectors.bridge import SandboxBridge
from activities.connectors.chain import SandboxChain
from activities.connectors.defi import DefiProtocol, SandboxDefi
from activities.connectors.dex import SandboxDex
from activities.connectors.fx import SandboxFx
from activities.connectors.kyc import Kyc, SandboxKyc
from activities.connectors.rail import Rail, SandboxRail
from activities.connectors.regulator import SandboxRegulator
from activities.connectors.sanctions import Sanctions, SandboxSanctions
from activities.conversions import MarketConversionActivities
from activities.freezes import SqlFreezeActivities
from activities.harvests import ConnectedHarvestActivities
from activities.key_expiry import SqlKeyExpiryActivities
from activities.maintenance import SqlMaintenanceActivities
from activities.monitoring import SqlMonitoringActivities
from activities.partner_webhooks import PartnerWebhooks
from activities.partners import CheckedPartnerActivities
from activities.payment_intents import ChainPaymentIntentActivities
from activities.payments import ConnectedPaymentActivities
from activities.position_closings import ConnectedClosingActivities
from activities.position_openings import ConnectedOpeningActivities
from activities.position_watch import ConnectedWatchActivities
from activities.rails import ConnectedRailActivities
from activities.reconciling import VisibilityReconcileActivities
from activities.recoveries import HttpRecoveryActivities
from activities.replays import SqlReplayActivities
from activities.reports import RegulatedReportActivities
from activities.retention import SqlRetentionActivities
from activities.reversals import SqlReversalActivities
from activities.rotations import SqlRotationActivities
from activities.sagas import SqlSagaActivities
from activities.sdk_builds import SdkBuilds
from activities.sdks import GeneratedSdkActivities
from activities.sender import Sender
from activities.status import ProbingStatusActivities
from activities.steps import Steps
from activities.swaps import ConnectedSwapActivities
from activities.transfers import SqlTransferActivities
from activities.travel_rule import ScreenedTravelRuleActivities
from activities.webhooks import HttpWebhookActivities
from activities.widgets import SqlWidgetActivities
from runtime.database import Database
from runtime.http import ClientLimits, WebhookClient
from runtime.keyfile import secrets_keys
from runtime.links import public_url
from runtime.policy import forward_proxy, url_policy
from runtime.settings import Settings
from runtime.vault import Vault
from worker.connectors import Connectors
from workflows.registry import all_sagas

# Endpoints and tenants wait for places at our own gates, where no deadline runs; the client's
# limits only have to be wide enough never to be what is waited for.
CLIENT_LIMITS = ClientLimits(exchanges_max=1_000, exchanges_per_origin_max=500)


@dataclass(frozen=True)
class Implementations:
    """What each queue's worker can do."""

    sagas: tuple[object, ...]
    deliveries: tuple[object, ...]
    retries: tuple[object, ...]


@asynccontextmanager
async def build(
    settings: Settings, database: Database, temporal: Client
) -> AsyncIterator[Implementations]:
    addresses = AddressBook(Vault(secrets_keys(settings)), schedule=settings.retry_schedule)
    async with WebhookClient(
        url_policy(settings), proxy=forward_proxy(settings), limits=CLIENT_LIMITS
    ) as http:
        sender = Sender(database, http, addresses, temporal)
        webhooks = HttpWebhookActivities(sender)
        yield Implementations(
            sagas=(
                *saga_implementations(settings, database),
                reconcile_implementation(database, temporal),
            ),
            deliveries=(webhooks, *lifecycle_implementations(settings, database)),
            retries=(webhooks, HttpRecoveryActivities(sender)),
        )


def lifecycle_implementations(settings: Settings, database: Database) -> tuple[object, ...]:
    keep = timedelta(days=settings.retention_days)
    return (
        SqlReplayActivities(database),
        SqlRotationActivities(database),
        SqlKeyExpiryActivities(database),
        SqlRetentionActivities(database, keep=keep),
    )


def saga_implementations(settings: Settings, database: Database) -> tuple[object, ...]:
    steps = Steps(database)
    fee = settings.transfer_fee_basis_points
    connectors = Connectors(settings, database)
    kyc: Kyc = connectors.of("kyc", SandboxKyc)
    rail: Rail = connectors.of("rail", SandboxRail)
    sanctions: Sanctions = connectors.of("sanctions", SandboxSanctions)
    defi: DefiProtocol = connectors.of("defi", SandboxDefi)
    implementations = (
        SqlSagaActivities(database, steps),
        SqlAccountActivities(steps, kyc),
        SqlAccountChangeActivities(steps),
        SqlFreezeActivities(steps),
        SqlClosingActivities(steps),
        SqlLedgerActivities(steps),
        SqlTransferActivities(steps, fee_basis_points=fee),
        SqlReversalActivities(steps),
        SqlBulkTransferActivities(steps),
        SqlMaintenanceActivities(steps),
        SqlMonitoringActivities(database, steps),
        ProbingStatusActivities(database, steps, partial(public_url, settings)),
        CheckedPartnerActivities(
            steps, kyc, sanctions, partner_webhooks(settings), public_url(settings, "/v2")
        ),
        SqlWidgetActivities(steps, partial(public_url, settings)),
        GeneratedSdkActivities(steps, SdkBuilds(), partial(public_url, settings)),
        ConnectedRailActivities(steps, rail),
        ConnectedPaymentActivities(steps, rail),
        ChainPaymentIntentActivities(steps, connectors.of("chain", SandboxChain)),
        ScreenedTravelRuleActivities(database, steps, sanctions),
        ConnectedOpeningActivities(steps, defi),
        ConnectedClosingActivities(steps, defi),
        ConnectedWatchActivities(database, steps, defi),
        ConnectedHarvestActivities(database, steps, defi),
        ConnectedSwapActivities(steps, connectors.of("dex", SandboxDex)),
        ConnectedBridgeActivities(
            database, steps, connectors.of("bridge", SandboxBridge), sanctions
        ),
        RegulatedReportActivities(
            database,
            steps,
            connectors.of("regulator", SandboxRegulator),
            partial(public_url, settings),
        ),
        MarketConversionActivities(steps, connectors.of("fx", SandboxFx), fee_basis_points=fee),
    )
    connectors.check()
    return implementations


def partner_webhooks(settings: Settings) -> PartnerWebhooks:
    """The key at rest is read when the first secret is sealed: most processes never need it."""
    return PartnerWebhooks(url_policy(settings), cache(lambda: Vault(secrets_keys(settings))))


def reconcile_implementation(database: Database, temporal: Client) -> VisibilityReconcileActivities:
    planned = {name: tuple(step.name for step in saga.steps) for name, saga in all_sagas().items()}
    sagas = SqlSagaActivities(database, Steps(database))
    return VisibilityReconcileActivities(database, temporal, sagas, planned)
