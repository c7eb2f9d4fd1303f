"""The catalogue: the 41 event types, each with its payload, schema, example and producer."""

from domain.catalogue.account import (
    AccountBalanceUpdated,
    AccountClosed,
    AccountCreated,
    AccountFrozen,
    AccountUnfrozen,
    AccountUpdated,
)
from domain.catalogue.cross_chain import (
    BridgeCompleted,
    BridgeFailed,
    BridgeInitiated,
    SwapCompleted,
)
from domain.catalogue.defi import (
    PositionClosed,
    PositionLiquidationWarning,
    PositionOpened,
    YieldHarvested,
)
from domain.catalogue.index import EVENT_TYPES, categories, check_patterns, json_schema, matches
from domain.catalogue.mobile_payment import (
    PaymentIntentCompleted,
    PaymentIntentCreated,
    PaymentIntentExpired,
)
from domain.catalogue.model import (
    TEST_EVENT,
    ErrorDetails,
    EventData,
    JsonObject,
    Part,
    Subject,
    TestWebhook,
    Timestamp,
    timestamp_text,
)
from domain.catalogue.partner import PartnerOnboarded, SdkGenerated, WidgetDeployed
from domain.catalogue.regtech import (
    ComplianceReportGenerated,
    ComplianceViolationDetected,
    TravelRuleCheckCompleted,
)
from domain.catalogue.system import (
    SystemApiKeyExpiring,
    SystemMaintenanceEnd,
    SystemMaintenanceStart,
    SystemRateLimitWarning,
    SystemSecurityAlert,
    SystemStatusChange,
)
from domain.catalogue.transfer import (
    TransferCompleted,
    TransferCreated,
    TransferExpired,
    TransferFailed,
    TransferPending,
    TransferReversed,
)
from domain.catalogue.workflow import (
    WorkflowCompensationExecuted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
    WorkflowStepCompleted,
    WorkflowTimeout,
)

__all__ = [
    "EVENT_TYPES",
    "TEST_EVENT",
    "AccountBalanceUpdated",
    "AccountClosed",
    "AccountCreated",
    "AccountFrozen",
    "AccountUnfrozen",
    "AccountUpdated",
    "BridgeCompleted",
    "BridgeFailed",
    "BridgeInitiated",
    "ComplianceReportGenerated",
    "ComplianceViolationDetected",
    "ErrorDetails",
    "EventData",
    "JsonObject",
    "Part",
    "PartnerOnboarded",
    "PaymentIntentCompleted",
    "PaymentIntentCreated",
    "PaymentIntentExpired",
    "PositionClosed",
    "PositionLiquidationWarning",
    "PositionOpened",
    "SdkGenerated",
    "Subject",
    "SwapCompleted",
    "SystemApiKeyExpiring",
    "SystemMaintenanceEnd",
    "SystemMaintenanceStart",
    "SystemRateLimitWarning",
    "SystemSecurityAlert",
    "SystemStatusChange",
    "TestWebhook",
    "Timestamp",
    "TransferCompleted",
    "TransferCreated",
    "TransferExpired",
    "TransferFailed",
    "TransferPending",
    "TransferReversed",
    "TravelRuleCheckCompleted",
    "WidgetDeployed",
    "WorkflowCompensationExecuted",
    "WorkflowCompleted",
    "WorkflowFailed",
    "WorkflowStarted",
    "WorkflowStepCompleted",
    "WorkflowTimeout",
    "YieldHarvested",
    "categories",
    "check_patterns",
    "json_schema",
    "matches",
    "timestamp_text",
]
