"""Wallets: where on a chain the bank keeps an account's tokens."""

import hashlib

from domain.payment_intent import NetworkName


def wallet_address(tenant_id: str, account_id: str, network: NetworkName) -> str:
    """The account's own address on that chain: always the same, and nobody else's."""
    digest = hashlib.sha256(f"{tenant_id}/{account_id}/{network}".encode()).hexdigest()
    return f"0x{digest[:40]}"
