"""Chains and protocols: bridges, swaps, positions, and payments that are confirmed by blocks."""

from typing import Any

from cli.tour.guide import FAILED, Guide

REFUSES = {"refuse": "route_unsupported"}


async def see(guide: Guide) -> None:
    wallet = await guide.open_account("Wallet", base_currency="USDC")
    await guide.put_in(wallet, "20000.00", "USDC")
    await guide.put_in(wallet, "10.00", "ETH")
    await _pay_merchants(guide, wallet)
    await _bridge(guide, wallet)
    await _hold_positions(guide, wallet)


async def _pay_merchants(guide: Guide, wallet: str) -> None:
    intent = {"payer_account": wallet, "merchant_id": "mer_tour", "amount": "24.90"}
    authorized = intent | {"authorized": True}
    await guide.run("pay a merchant on a chain", "payment_intent", authorized)
    late = intent | {"authorize_within_s": 1}
    await guide.run("a payment nobody authorises", "payment_intent", late, expected="timed_out")


async def _bridge(guide: Guide, wallet: str) -> None:
    order = {"from_account": wallet, "amount": "100.00"}
    over = {"from_chain": "ethereum", "to_chain": "base"}
    await guide.run("what a bridge would take", "bridge_quote", {"amount": "100.00", **over})
    await guide.run("tokens to another chain", "bridge_transfer", order | over)
    never = {"confirm_within_s": 1, "sandbox": {"bridge": {"confirm_after_ms": 600_000}}}
    await guide.run(
        "tokens that never arrive", "bridge_transfer", order | over | never, expected=FAILED
    )
    swap = order | {"from_asset": "USDC", "to_asset": "ETH"}
    await guide.run("bridge and swap", "cross_chain_swap", swap)
    moved = {"sandbox": {"dex": {"slip_percent": "5"}}}
    await guide.run("a market that has moved: kept as bridged", "cross_chain_swap", swap | moved)


async def _hold_positions(guide: Guide, wallet: str) -> None:
    supply = {"account_uuid": wallet, "type": "supply", "amount": "1000.00", "asset_code": "USDC"}
    supplied = await guide.run("put tokens to work", "open_position", supply)
    refused = supply | {"sandbox": {"supply": REFUSES}}
    await guide.run("a protocol that refuses", "open_position", refused, expected=FAILED)
    position = {"position_id": supplied["position_id"]}
    await guide.run("take what it earned", "harvest_yield", position)
    unworthy = position | {"sandbox": {"estimate": {"refuse": "not_worth_its_gas"}}}
    await guide.run("a harvest not worth its gas", "harvest_yield", unworthy, expected=FAILED)
    await guide.run("leave the protocol", "close_position", position)
    await guide.run("leave it twice", "close_position", position, expected=FAILED)
    await _liquidate(guide, wallet)


async def _liquidate(guide: Guide, wallet: str) -> None:
    borrow = {
        "account_uuid": wallet,
        "type": "borrow",
        "amount": "1.00",
        "asset_code": "ETH",
        "borrow_amount": "1000.00",
        "borrow_asset": "USDC",
    }
    borrowed = await guide.run("borrow against tokens", "open_position", borrow)
    watch = {"position_id": borrowed["position_id"], "check_every_s": 1}
    monitor = await guide.start("position_monitor", watch)
    workflow_id = monitor["workflow_id"]
    for fall in ("45", "80"):
        await _move_price(guide, workflow_id, fall)
    await guide.ended("its collateral falls: warned, then liquidated", workflow_id)


async def _move_price(guide: Guide, workflow_id: str, percent: str) -> None:
    move: dict[str, Any] = {"arguments": [{"slip_percent": percent}]}
    await guide.client.post(f"/v2/workflows/{workflow_id}/signals/move_price", move)
