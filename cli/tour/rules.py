"""Rules: what a regulator wants to know, and what must be stopped."""

from cli.tour.guide import FAILED, Guide

LEI = "529900T8BM49AURSDO55"
JUST_BELOW = "9500.00"


async def see(guide: Guide) -> None:
    sender = await guide.open_account("Sender", initial_balance="60000.00")
    receiver = await guide.open_account("Receiver")
    await _check_travel_rule(guide, sender, receiver)
    await _monitor(guide, sender, receiver)
    await _report(guide)


async def _check_travel_rule(guide: Guide, sender: str, receiver: str) -> None:
    check = {
        "transfer_uuid": "the-transfer-of-the-tour",
        "from_account": sender,
        "to_account": receiver,
        "amount": "4200.00",
    }
    await guide.run("who pays whom?", "travel_rule_check", check)
    silent = check | {
        "transfer_uuid": "another-transfer-of-the-tour",
        "sandbox": {"sanctions": {"refuse": "sanctions_hit"}},
    }
    await guide.run("lists that say no", "travel_rule_check", silent)


async def _monitor(guide: Guide, sender: str, receiver: str) -> None:
    order = {"from_account": sender, "to_account": receiver, "amount": JUST_BELOW}
    for number in range(1, 5):
        await guide.run(f"just below a threshold, {number} of 4", "transfer", order)
    await guide.run("what does that look like?", "transaction_monitoring", {"account_uuid": sender})
    nobody = {"account_uuid": "nobodys-account"}
    await guide.run("monitor nobody", "transaction_monitoring", nobody, expected=FAILED)


async def _report(guide: Guide) -> None:
    period = {"period_from": "2020-01-01", "period_to": "2020-12-31", "lei": LEI}
    await guide.run("a report to the regulator", "compliance_report", period)
    refused = period | {"sandbox": {"regulator": {"refuse": "report_rejected"}}}
    await guide.run("a report that is refused", "compliance_report", refused, expected=FAILED)
