"""What delete_accounts would do, for a dry run."""
from __future__ import annotations

from collections import Counter

from jobs_lib.database.schema import references
from jobs_lib.database.schema.tables import table
from jobs_lib.database.values import chunked
from jobs_lib.engines.dry_run import SAMPLE_ROWS
from jobs_lib.engines.safety_stop import would_stop
from jobs_lib.text import counted

from . import erase, revoke
from .due import PAGE, deleted, erase_after, is_closed

BY_USER = "user_id IN (:ids)"
# {table: SQL rules, which of its rows an account has}: by their user, or else by what they belong
# to
OWNED: dict[str, tuple] = {each.table: (BY_USER,) for each in references.to("users")}
BELONGING = ("alias_destinations", "destination_verifications")
OWNED.update({name: tuple(
    f"{each.column} IN (SELECT id FROM {{{each.target}}} WHERE {BY_USER})"
    for each in references.REFERENCES if each.table == name and each.goes == "with")
    for name in BELONGING})
KEPT = [each.table for each in references.to("users") if each.goes == "stays"]


def preview(ctx, guard) -> dict:
    """Show it, and return the counts; an account that is both closed and deleted counts twice."""
    accounts = list(deleted(ctx))
    new = [account for account in accounts if not is_closed(account)]
    notices = sum(revoke.write_notice(ctx, account) for account in new
                  if revoke.is_notified(ctx, account))
    going = [account for account in accounts if erase_after(ctx, account) <= ctx.now]
    with_notices = f", with {counted(notices, 'notice')}" if notices else ""
    ctx.show(f"close {counted(len(new), 'deleted account')}{with_notices}", _sample(new))
    ctx.show(f"delete {counted(len(going), 'account')} for good", _sample(going),
             would_stop(erase.unconfirmed(ctx, guard, going)))
    rows = _rows(ctx, [account.user_id for account in going])
    _show_rows(ctx, rows)
    ctx.counts.update(revoked=len(new), erased=len(going), notices=notices, rows=_named(rows))
    return ctx.counts


def _rows(ctx, ids: list) -> Counter:
    """{table: how many rows these users have}."""
    found: Counter = Counter()
    for some in chunked(ids, PAGE):
        for name, rules in OWNED.items():
            found[name] += ctx.db.value(_counting(name, rules), ids=some)
    return found


def _counting(name: str, rules: tuple) -> str:
    """A query for the number of rows that one of the rules finds: no index serves two with OR."""
    if len(rules) == 1:
        return f"SELECT COUNT(*) FROM {{{name}}} WHERE {rules[0]}"
    keys = ", ".join(table(name).key)
    parts = " UNION ".join(f"SELECT {keys} FROM {{{name}}} WHERE {rule}" for rule in rules)
    return f"SELECT COUNT(*) FROM ({parts}) theirs"


def _named(rows: Counter) -> int:
    """How many of them name their user. A run counts these, and what it changes as it closes an
    account."""
    return sum(number for name, number in rows.items() if name not in BELONGING)


def _show_rows(ctx, rows: Counter) -> None:
    deleted = [(number, ctx.db.name(name) if name in OWNED else name.table)
               for name, number in rows.most_common()
               if number and name not in (*KEPT, *BELONGING)]
    belonging = [f"with them go {rows[name]:,} of {ctx.db.name(name)}"
                 for name in BELONGING if rows[name]]
    kept = [f"{rows[name]:,} of {ctx.db.name(name)} " + (
                "stays, and names nobody any more" if rows[name] == 1
                else "stay, and name nobody any more") for name in KEPT if rows[name]]
    if deleted or kept or belonging:
        listed = ", ".join(f"{number:,} of {name}" for number, name in deleted)
        ctx.show(f"delete what they have: {counted(_named(rows), 'row')}", [],
                 "; ".join(filter(None, [listed, *kept, *belonging])))


def _sample(chosen: list) -> list[dict]:
    return [{"id": account.user_id, "status": "deleted",
             "deleted_at": account.deleted_at if account.is_timed else "now"}
            for account in chosen[:SAMPLE_ROWS]]
