from typing import Any

from domain.ids import new_uuid
from domain.sandbox import Faults
from domain.travel_rule import TravelRuleRequest
from storage.account_tables import AccountHolder
from storage.ledger_tables import Account
from storage.travel_rule_tables import TravelRuleCheck
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank


async def test_a_transfer_of_known_people_is_compliant(bank: Bank) -> None:
    check = a_check(await known(bank), await known(bank))

    ended = await bank.run("travel_rule_check", check)

    told = ended.told("travel_rule.check.completed")
    assert (told["is_compliant"], told["risk_level"]) == (True, "low")
    assert told["threshold_analysis"] == {
        "amount_usd": "4200.00",
        "exceeds_threshold": True,
        "threshold_amount": "3000.00",
        "threshold_currency": "USD",
    }
    assert told["sanctions_screening"]["screening_provider"] == "sandbox"
    assert (await bank.row(TravelRuleCheck, f"trc_{check.id}")).is_compliant


async def test_what_is_missing_is_named_and_nothing_else_is(bank: Bank) -> None:
    check = a_check(await known(bank), await known(bank, address=None))

    ended = await bank.run("travel_rule_check", check)

    told = ended.told("travel_rule.check.completed")
    assert told["is_compliant"] is False
    assert told["compliance_issues"] == [
        {
            "code": "missing_travel_rule_data",
            "description": "the beneficiary's address is missing",
        }
    ]
    assert ended.result["refusal"] == "missing_travel_rule_data"


async def test_what_the_sender_says_of_the_other_side_counts(bank: Bank) -> None:
    check = a_check(await known(bank), await bank.account(), jurisdiction="EU")

    said = {"beneficiary": {"address": "2 Elm Street", "document_id": "P-77"}}
    ended = await bank.run("travel_rule_check", check, travel_rule=said)

    assert ended.told("travel_rule.check.completed")["is_compliant"] is True


async def test_a_side_on_a_sanctions_list_is_told_and_the_check_completes(bank: Bank) -> None:
    sandbox = {"sanctions_beneficiary": Faults(refuse="sanctions_hit")}
    check = a_check(await known(bank), await known(bank), sandbox=sandbox)

    ended = await bank.run("travel_rule_check", check)

    assert ended.state == "completed"
    told = ended.told("travel_rule.check.completed")
    assert (told["is_compliant"], told["risk_level"]) == (False, "critical")
    screening = told["sanctions_screening"]
    assert (screening["originator_cleared"], screening["beneficiary_cleared"]) == (True, False)


async def test_no_personal_data_reaches_events_or_the_engine(bank: Bank) -> None:
    check = a_check(await known(bank), await known(bank))

    handle = await bank.start("travel_rule_check", check)
    ended = await bank.end_of(handle)

    written = str(ended.story) + (await handle.fetch_history()).to_json()
    for personal in ("Ada Lovelace", "1 Main Street", "P-42"):
        assert personal not in written


async def test_a_provider_that_never_answers_fails_the_check(bank: Bank) -> None:
    sandbox = {"sanctions": Faults(refuse="sanctions_unavailable")}
    check = a_check(await known(bank), await known(bank), sandbox=sandbox)

    ended = await bank.run("travel_rule_check", check)

    assert ended.code == "sanctions_unavailable"
    assert "travel_rule.check.completed" not in ended.types


def a_check(originator: str, beneficiary: str, **fields: Any) -> TravelRuleRequest:
    defaults = {"amount": "4200.00", "asset_code": "USD"}
    return TravelRuleRequest(
        id=new_uuid(),
        transfer_uuid=new_uuid(),
        from_account=originator,
        to_account=beneficiary,
        **defaults | fields,
    )


async def known(bank: Bank, **fields: Any) -> str:
    """An account whose holder a KYC provider knows."""
    account = await bank.account("9000.00 USD")
    row = await bank.row(Account, account)
    facts = {"full_name": "Ada Lovelace", "address": "1 Main Street", "document_id": "P-42"}
    await bank.add(
        AccountHolder(tenant_id=TENANT, user_uuid=row.user_uuid, provider="test", **facts | fields)
    )
    return account
