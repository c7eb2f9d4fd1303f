"""Secrets of endpoints between rows, where they are sealed, and code that must see them."""

from collections.abc import Iterable

from domain.ids import new_id
from domain.rotation import Kind
from domain.signing import Secret, new_key_pair, public_key
from runtime.vault import Vault
from storage.tables import EndpointSecret


def seal_secret(
    vault: Vault, endpoint_id: str, secret: Secret, *, kind: Kind = "v1"
) -> EndpointSecret:
    """The row of a secret; `storage.secrets` says from when and until when it signs."""
    id = new_id("sec")
    return EndpointSecret(
        id=id,
        endpoint_id=endpoint_id,
        kind=kind,
        sealed=vault.seal(secret.reveal().encode(), bound_to=id),
        key_id=vault.key_id,
    )


def seal_key_pair(vault: Vault, endpoint_id: str) -> tuple[EndpointSecret, str]:
    """A new Ed25519 pair: the row of its private half, and the public half to show."""
    pair = new_key_pair()
    return seal_secret(vault, endpoint_id, pair, kind="v1a"), public_key(pair)


def open_secret(vault: Vault, row: EndpointSecret) -> Secret:
    """Raises WrongKey."""
    return Secret(vault.open(row.sealed, bound_to=row.id).decode())


def public_keys(vault: Vault, rows: Iterable[EndpointSecret]) -> dict[str, str]:
    """The public half of every key pair among the rows, by the row's id."""
    return {row.id: public_key(open_secret(vault, row)) for row in rows if row.kind == "v1a"}
