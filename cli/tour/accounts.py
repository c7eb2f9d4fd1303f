"""Accounts and payments: what a bank does all day."""

from dataclasses import dataclass

from cli.tour.guide import FAILED, Guide

NEVER = {"rail": {"confirm_after_ms": 600_000}}


@dataclass(frozen=True)
class Customers:
    payer: str
    payee: str


async def see(guide: Guide) -> None:
    customers = Customers(
        await guide.open_account("Payer", initial_balance="20000.00"),
        await guide.open_account("Payee", initial_balance="100.00"),
    )
    await _change(guide, customers)
    await _pay(guide, customers)
    await _transfer(guide, customers)
    await _transfer_many(guide, customers)
    await _close(guide, customers)


async def _change(guide: Guide, customers: Customers) -> None:
    account = {"account_uuid": customers.payee}
    await guide.run("change an account", "update_account", account | {"type": "savings"})
    nobody = {"account_uuid": "nobodys-account", "type": "savings"}
    await guide.run("change one that is not there", "update_account", nobody, expected=FAILED)
    await guide.run("freeze an account", "freeze_account", account)
    await guide.run("freeze it twice", "freeze_account", account, expected=FAILED)
    await guide.run("unfreeze it", "unfreeze_account", account)
    await guide.run("unfreeze it twice", "unfreeze_account", account, expected=FAILED)


async def _pay(guide: Guide, customers: Customers) -> None:
    money = {"account_uuid": customers.payer, "amount": "100.00", "asset_code": "USD"}
    refused = money | {"sandbox": {"rail": {"refuse": "rail_unavailable"}}}
    for type in ("deposit", "withdrawal"):
        await guide.run(f"a {type}", type, money)
        await guide.run(f"a {type} that its rail refuses", type, refused, expected=FAILED)


async def _transfer(guide: Guide, customers: Customers) -> None:
    order = {"from_account": customers.payer, "to_account": customers.payee}
    done = await guide.run("a transfer", "transfer", order | {"amount": "50.00"})
    over_rail = order | {"amount": "20.00", "rail": "sandbox"}
    slow = {"sandbox": {"rail": {"confirm_after_ms": 500}}}
    await guide.run("a transfer whose rail takes its time", "transfer", over_rail | slow)
    too_much = order | {"amount": "90000.00"}
    await guide.run("a transfer of more than there is", "transfer", too_much, expected=FAILED)
    late = over_rail | {"expires_in_s": 2, "sandbox": NEVER}
    await guide.run("a transfer that expires", "transfer", late, expected="timed_out")
    reversal = {"transfer_uuid": done["transfer_uuid"]}
    await guide.run("reverse a transfer", "reverse_transfer", reversal)
    await guide.run("reverse it twice", "reverse_transfer", reversal, expected=FAILED)


async def _transfer_many(guide: Guide, customers: Customers) -> None:
    both = [{"to_account": customers.payee, "amount": amount} for amount in ("10.00", "20.00")]
    bulk = {"from_account": customers.payer, "items": both}
    await guide.run("many transfers at once", "bulk_transfer", bulk)
    too_much = [{"to_account": customers.payee, "amount": "90000.00"}]
    all_or_nothing = bulk | {"items": both + too_much}
    await guide.run("all of them, or none", "bulk_transfer", all_or_nothing, expected=FAILED)
    conversion = {
        "from_account": customers.payer,
        "to_account": customers.payee,
        "amount": "100.00",
        "from_asset": "USD",
        "to_asset": "EUR",
    }
    refused = {"rail": "sandbox", "sandbox": {"rail": {"refuse": "rail_unavailable"}}}
    type = "currency_conversion_transfer"
    await guide.run("convert, then transfer", type, conversion)
    await guide.run("converted back: no transfer", type, conversion | refused, expected=FAILED)


async def _close(guide: Guide, customers: Customers) -> None:
    account = await guide.open_account("For a day")
    await guide.run("close an account", "close_account", {"account_uuid": account})
    full = {"account_uuid": customers.payee}
    await guide.run("close one with money in it", "close_account", full, expected=FAILED)
