"""Addresses that were an alias once and are never given to anybody else: kept as keyed hashes.

    hash = HMAC-SHA256(key, address in lower case), in hex
    key  = HMAC-SHA256(secret_key, "retired-address")

docs/deletion.md has the same in PHP.
"""
from __future__ import annotations

import hmac

LABEL = "retired-address"        # of the derived key, Context.secret


def address_hash(key: bytes, address: str) -> str:
    """What stands in `retired_addresses` for this address, however its letters are written."""
    return hmac.digest(key, address.strip().lower().encode("utf-8", "surrogateescape"),
                       "sha256").hex()


def is_there(db, key: bytes, address: str) -> bool:
    """Whether the address was retired."""
    return db.row("SELECT created_at FROM {retired_addresses} WHERE address_hash = :hash",
                  hash=address_hash(key, address)) is not None
