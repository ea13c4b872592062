"""Which accounts are deleted, and when the next step of each is due: to be closed at once, and to
be erased on the day that its owner was given; and the addresses that were theirs.

A deletion has one time, `users.deleted_at`. A run gives one to those that have none; who only looks
sees these by the same rules.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.stored import INVALID, chunked
from jobs_lib.engines.due import has_status
from jobs_lib.errors import ConfigError
from jobs_lib.folders import derived, secret_key
from jobs_lib.records import namedtuple

# of the derived keys that make a `user_ref` of a user's id, and the hash of an address
LABEL, RETIRED = "account-deletion", "retired-address"
PAGE = 500                          # accounts whose deletions are read at once
# a closed account is open again where it was made active and deleted again since
IS_OPEN = (
    "EXISTS (SELECT 1 FROM {sessions} WHERE user_id = {users}.id)"
    " OR EXISTS (SELECT 1 FROM {magic_links} WHERE user_id = {users}.id)"
    " OR EXISTS (SELECT 1 FROM {aliases} WHERE user_id = {users}.id AND active = 1)"
    " OR EXISTS (SELECT 1 FROM {webhooks} WHERE user_id = {users}.id AND active = 1)")
AHEAD = timedelta(days=1)           # a deletion further ahead was written by a wrong clock
UNSENT = timedelta(days=28)         # after the deletion, it is erased although no notice was sent

Account = namedtuple("Account", "id name email created_at deleted_at is_open is_timed ref "
                     "deletion is_closed erase_at", defaults=(False, None))
Account.__doc__ = """A user whose status is `deleted`.

deleted_at   as the next run sees it; None where it is no time: the account is left alone
is_open      whether somebody can sign in, or mail come in
is_timed     whether that is stored in its row
deletion     the row of account_deletions that is not complete, or None
is_closed    whether that was done for this deletion
erase_at     when it may be erased; None: it is left alone
"""


def hashed(key: bytes, text: str) -> str:
    """What is stored of an id or an address once it may not be known any more."""
    import hmac  # only where an account is deleted: it would slow every idle run
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()


def notice_key(account) -> str:
    """The dedupe key of the one notice about its deletion."""
    from jobs_lib.features.notifications.notices import dedupe_key  # an idle run needs none
    return dedupe_key(f"account-deletion:{account.id}:{account.deleted_at}")


def deleted(ctx, also: str = "", **values):
    """Every deleted Account, the longest ago first; `also`: SQL, of some."""
    rows = ctx.db.query(
        f"SELECT id, name, email, created_at, deleted_at, {IS_OPEN} AS is_open "
        f"FROM {{users}} WHERE status = 'deleted'{also} ORDER BY deleted_at, id", **values)
    for some in chunked(rows, PAGE):
        refs = [hashed(ctx.secret(LABEL), str(row["id"])) for row in some]
        known = {row["user_ref"]: row for row in ctx.db.query(
            "SELECT id, user_ref, requested_at, revoked_at, erase_after, counts "
            "FROM {account_deletions} WHERE user_ref IN (:refs) "
            "AND completed_at IS NULL AND revoked_at IS NOT NULL ORDER BY id", refs=refs)}
        for row, ref in zip(some, refs):
            yield _account(ctx, row, ref, known.get(ref))


def _account(ctx, row: dict, ref: str, deletion):
    begun = clock.parse_any(row["deleted_at"])
    # none, or far ahead, by which it would be kept too long: it was deleted now
    is_timed = row["deleted_at"] is not None and not (begun and begun > ctx.now + AHEAD)
    begun = begun if is_timed else ctx.now
    row["deleted_at"] = begun and clock.text(begun)
    account = Account(**row, is_timed=is_timed, ref=ref, deletion=deletion)
    if not begun:
        return account
    # one that was active again meanwhile is closed again
    is_closed = bool(deletion and deletion["requested_at"] == account.deleted_at)
    day = clock.parse_any(deletion["erase_after"]) if is_closed else None
    day = day or clock.plus(begun, ctx.options.grace)
    # an erasure that has begun goes on: it deletes the notice early
    if not (is_closed and (deletion["counts"] != "{}" or ctx.db.row(
            "SELECT id FROM {notifications} WHERE dedupe_key = :key AND status = 'sent'",
            key=notice_key(account)))):
        day = max(day, clock.plus(begun, UNSENT))
    return account._replace(is_closed=is_closed, erase_at=day)


def find(ctx) -> tuple[list, list]:
    """(the accounts that are to be closed now, as far as `--limit` goes; those to be erased). Those
    whose time is none are counted."""
    if not ctx.db.row(f"SELECT id FROM {{users}} WHERE {has_status('deleted')} LIMIT 1"):
        return [], []  # as mostly; for this an engine reads an index alone
    found = list(deleted(ctx))
    timed = [account for account in found if account.deleted_at]
    if len(timed) < len(found) and INVALID not in ctx.counts:
        ctx.counts[INVALID] = len(found) - len(timed)
        ctx.log.warning("invalid row", table="users", reason="deleted_at is not a valid time",
                        id=next(account.id for account in found if not account.deleted_at))
    new = [account for account in timed if account.is_open or not account.is_closed]
    going = [account for account in timed if account.erase_at <= ctx.now]
    return new[:ctx.within_limit(len(new))], going


# Addresses that are never given to anybody else

def retire(ctx, addresses: list[str]) -> None:
    """In the transaction that deletes their aliases."""
    key, now = ctx.secret(RETIRED), ctx.clock()
    for each in sorted({hashed(key, _folded(address)) for address in addresses}):
        ctx.db.upsert("retired_addresses", {"address_hash": each}, {"created_at": now})


def _folded(address: str) -> str:
    return address.strip().lower()


def is_retired(config, db, address: str) -> bool:
    """What `jobs_lib.is_retired` returns to an app."""
    core = config.section("core")
    if not core.secret_key and not os.path.exists(os.path.join(core.state_dir, "secret")):
        raise ConfigError(f"there is no [core] secret_key and no {core.state_dir}/secret: without "
                          "the key of the jobs no retired address can be recognized")
    key = derived(secret_key(core.state_dir, core.secret_key), RETIRED)
    return db.row("SELECT created_at FROM {retired_addresses} WHERE address_hash = :hash",
                  hash=hashed(key, _folded(address))) is not None
