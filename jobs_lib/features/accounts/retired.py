"""Addresses that were an alias once and are never given to anybody else: kept as keyed hashes.

    hash = HMAC-SHA256(key, address in lower case), in hex
    key  = HMAC-SHA256(secret_key, "retired-address")

docs/deletion.md has the same in PHP.
"""
from __future__ import annotations

import hmac
import os

from jobs_lib.errors import ConfigError

LABEL = "retired-address"        # of the derived key


def address_hash(key: bytes, address: str) -> str:
    """This address's entry in `retired_addresses`, the same in upper and lower case."""
    return hmac.digest(key, address.strip().lower().encode("utf-8", "surrogateescape"),
                       "sha256").hex()


def retire(ctx, addresses: list[str]) -> None:
    """Never give these out again: in the transaction that deletes their aliases."""
    key, now = ctx.secret(LABEL), ctx.clock()
    for hashed in sorted({address_hash(key, address) for address in addresses}):
        ctx.db.upsert("retired_addresses", {"address_hash": hashed}, {"created_at": now})


def is_retired(address: str, config_path: str | None = None) -> bool:
    """What `jobs_lib.is_retired` returns to an app."""
    from jobs_lib.config import loader
    from jobs_lib.folders import secret_key
    from jobs_lib.runner.context import derived
    from jobs_lib.runner.resources import Ports

    config = loader.for_app(config_path)
    core = config.section("core")
    if not core.secret_key and not os.path.exists(os.path.join(core.state_dir, "secret")):
        raise ConfigError(f"there is no [core] secret_key and no {core.state_dir}/secret: without "
                          "the key of the jobs no retired address can be recognised")
    key = derived(secret_key(core.state_dir, core.secret_key), LABEL)
    db = Ports(config).connect(readonly=True)
    try:
        return db.row("SELECT created_at FROM {retired_addresses} WHERE address_hash = :hash",
                      hash=address_hash(key, address)) is not None
    finally:
        db.close()
