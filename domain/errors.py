"""Every error this system raises on purpose.

    Refused                     a final "no": retrying cannot change the answer
      AccountNotFound, AccountNotActive, AccountFrozen, AccountClosed, AccountHasBalance
      AccountAlreadyFrozen, AccountNotFrozen, AccountStateConflict
      TransferNotFound, TransferNotReversible, RouteUnsupported, QuoteExpired
      PositionNotFound, PositionNotOpen, PositionHasNoDebt, Undercollateralized
      RewardsBelowGas, SlippageExceeded
      InsufficientFunds, LimitExceeded, InvalidAssetCode, InvalidAmount, SameAccount
      DuplicateRequest          the same id again, with another body
      StepFenced                a late action, after its compensation
      ComplianceRejected        a check that the law asks for did not clear it
      PartnerNotFound, PartnerNotActive, TierNotAllowed
      LanguageUnsupported, GenerationNotFound, MissingDocuments, AssessmentFailed
      NothingCompleted          of many things asked for at once, none could be done
      ConnectorRefused          an outside party answered, and the answer was no
    Unavailable                 an outside party did not answer: worth another try
    SagaStuck                   can neither finish nor undo itself; a person must look

Anything else is a bug or an outage. Do not catch it: Temporal retries the activity.
"""

from typing import Any, ClassVar


class Refused(Exception):
    """A business rule said no. The activity fails once and is not retried.

    `code` is the snake_case code of the event catalogue; `details` are plain JSON values without
    personal data: both travel to the workflow, to events and to API answers.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(text)
        self.details = details

    @property
    def reason_code(self) -> str:
        """The code to show. A subclass whose code depends on the case overrides it."""
        return self.code


class AccountNotFound(Refused):
    code = "account_not_found"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"there is no account {account_id}", account_uuid=account_id)


class AccountFrozen(Refused):
    code = "account_frozen"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is frozen", account_uuid=account_id)


class AccountClosed(Refused):
    code = "account_closed"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is closed", account_uuid=account_id)


class AccountNotActive(Refused):
    """The account is not open yet."""

    code = "account_not_active"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is not active yet", account_uuid=account_id)


class AccountAlreadyFrozen(Refused):
    code = "account_already_frozen"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is frozen already", account_uuid=account_id)


class AccountNotFrozen(Refused):
    code = "account_not_frozen"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is not frozen", account_uuid=account_id)


class AccountHasBalance(Refused):
    code = "account_has_balance"


class AccountStateConflict(Refused):
    """The account is already in the state asked for, or cannot enter it."""

    code = "account_state_conflict"


class TransferNotFound(Refused):
    code = "transfer_not_found"

    def __init__(self, transfer_id: str) -> None:
        super().__init__(f"there is no transfer {transfer_id}", transfer_uuid=transfer_id)


class TransferNotReversible(Refused):
    """The transfer did not complete, was reversed before, or is too old."""

    code = "transfer_not_reversible"


class RouteUnsupported(Refused):
    """There is no way for this asset to go there."""

    code = "route_unsupported"


class QuoteExpired(Refused):
    """The price is not the price any more: its time is up, or it was used."""

    code = "quote_expired"


class PositionNotFound(Refused):
    code = "position_not_found"

    def __init__(self, position_id: str) -> None:
        super().__init__(f"there is no position {position_id}", position_id=position_id)


class PositionNotOpen(Refused):
    """It was closed, or somebody closes it just now."""

    code = "position_not_open"


class PositionHasNoDebt(Refused):
    code = "position_has_no_debt"


class Undercollateralized(Refused):
    """What is put in does not cover what is to be borrowed."""

    code = "undercollateralized"


class SlippageExceeded(Refused):
    """Less would come out than is asked for at least."""

    code = "slippage_exceeded"


class RewardsBelowGas(Refused):
    """Claiming them would cost more than they are worth."""

    code = "rewards_below_gas"


class InsufficientFunds(Refused):
    code = "insufficient_funds"

    def __init__(
        self, account_id: str, *, asset_code: str, available_minor: int, required_minor: int
    ) -> None:
        super().__init__(
            f"account {account_id} has {available_minor} {asset_code} minor units available, "
            f"{required_minor} are required",
            account_uuid=account_id,
            asset_code=asset_code,
            available_minor=available_minor,
            required_minor=required_minor,
        )


class LimitExceeded(Refused):
    code = "limit_exceeded"


class InvalidAssetCode(Refused):
    code = "invalid_asset_code"

    def __init__(self, asset_code: str) -> None:
        super().__init__(f"unknown asset code {asset_code!r}", asset_code=asset_code)


class InvalidAmount(Refused):
    code = "invalid_amount"


class SameAccount(Refused):
    code = "same_account"


class DuplicateRequest(Refused):
    code = "duplicate_request"


class StepFenced(Refused):
    """The step was compensated before this action arrived: nothing may be done any more."""

    code = "step_fenced"

    def __init__(self, workflow_id: str, step: str) -> None:
        super().__init__(f"step {step} of {workflow_id} was already compensated", step=step)


class ComplianceRejected(Refused):
    """A check said no. `reason_code` is what stood out most."""

    def __init__(self, reason_code: str, text: str, **details: Any) -> None:
        super().__init__(text, **details)
        self._reason_code = reason_code

    @property
    def reason_code(self) -> str:
        return self._reason_code


class PartnerNotFound(Refused):
    code = "partner_not_found"

    def __init__(self, partner_id: str) -> None:
        super().__init__(f"there is no partner {partner_id}", partner_id=partner_id)


class PartnerNotActive(Refused):
    """The partner is not on board yet, or not any more."""

    code = "partner_not_active"

    def __init__(self, partner_id: str, status: str) -> None:
        super().__init__(f"partner {partner_id} is {status}", partner_id=partner_id)


class TierNotAllowed(Refused):
    code = "tier_not_allowed"

    def __init__(self, tier: str, what: str) -> None:
        super().__init__(f"the tier {tier} does not include {what}", tier=tier)


class MissingDocuments(Refused):
    code = "missing_documents"

    def __init__(self, tier: str, missing: list[Any]) -> None:
        text = f"the tier {tier} also requires {', '.join(missing)}"
        super().__init__(text, missing=missing)


class AssessmentFailed(Refused):
    """The applicant's side is not up to it."""

    code = "assessment_failed"

    def __init__(self, shortcomings: tuple[str, ...]) -> None:
        super().__init__(f"it will not do: {', '.join(shortcomings)}", shortcomings=shortcomings)


class GenerationNotFound(Refused):
    code = "generation_not_found"

    def __init__(self, generation_id: str) -> None:
        super().__init__(f"there is no SDK generation {generation_id}")


class LanguageUnsupported(Refused):
    """Nobody we trust generates client packages in it."""

    code = "language_unsupported"

    def __init__(self, language: str, known: str) -> None:
        super().__init__(f"there are no client packages in {language}, only in {known}")


class NothingCompleted(Refused):
    """`reason_code` is why the first of them could not be done."""

    def __init__(self, reason_code: str, *, items: int) -> None:
        super().__init__(f"none of {items} items completed: {reason_code}", items=items)
        self._reason_code = reason_code

    @property
    def reason_code(self) -> str:
        return self._reason_code


class ConnectorRefused(Refused):
    """An outside party said no. `reason_code` is the catalogue's code for its answer."""

    def __init__(self, reason_code: str, text: str, **details: Any) -> None:
        super().__init__(text, **details)
        self._reason_code = reason_code

    @property
    def reason_code(self) -> str:
        return self._reason_code


class Unavailable(Exception):
    """Nobody knows whether it was done. Retried under the same key; `code` if that runs out."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class SagaStuck(Exception):
    """A saga can neither finish nor undo itself: an operator decides how it goes on."""
