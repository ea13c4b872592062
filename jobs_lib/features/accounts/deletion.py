"""Deleting an account: closed at once, and nothing more is sent for it; erased for good, table by
table, on the day that its owner was given.

Until that day nothing is beyond repair but the sessions and tokens, which the next sign-in makes
again: an operator can make the account active again, and switch on its aliases and endpoints.

All is done in short batches. Queues come first, so that nothing more is sent; a table comes before
those that its rows refer to; and `domains` and `destinations` come last, since an app's foreign
keys often lead to them.
"""
from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial

from jobs_lib import clock
from jobs_lib.engines import guard, spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE, LISTED, BatchSizer
from jobs_lib.engines.due import IN_HAND
from jobs_lib.engines.purge import SAMPLE_ROWS
from jobs_lib.errors import JobsError
from jobs_lib.features.notifications import notices, render
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.folders import open_own
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import find, notice_key, retire

LEDGER = "deletions.jsonl"
WHY = "the account is deleted"

Step = namedtuple("Step", "table column of by sets only",
                  defaults=("user_id", "users", "id", "", ""))
Step.__doc__ = """Rows that belong to an account.

column  says whose a row is: the account's id, or that of a row of the table `of`
by      the column by whose ranges they are taken, behind `column` in an index
sets    "": they are deleted; else what an UPDATE sets in them, and they stay
only    SQL: which of them; "" for all
"""

# What may identify somebody. `details` is the app's own JSON: nobody knows what in it would. Of
# attempts stays what the relay's limits count.
AUDIT = "user_id = NULL, actor = '', ip = '', details = NULL"
ATTEMPT = "user_id = NULL, domain = NULL, recipient = NULL, answer = NULL"

ORDER = (
    Step("failed_emails"),
    Step("failed_emails", "alias_id", "aliases"),
    Step("failed_emails", "destination_id", "destinations"),
    Step("webhook_deliveries"),
    Step("webhook_deliveries", "webhook_id", "webhooks"),
    Step("notifications"),
    Step("export_requests"),
    Step("sessions"),
    Step("magic_links"),
    Step("header_snapshots"),
    Step("message_logs", by="created_at"),
    Step("message_stats", by="alias_id"),
    Step("usage_daily", by="day"),
    Step("usage_weekly", by="week_start"),
    Step("usage_events"),
    Step("notification_optouts", by="kind"),
    Step("overflow_hold"),
    Step("spam_quarantine"),
    Step("audit_logs", sets=AUDIT),
    Step("attempts", sets=ATTEMPT),
    Step("webhooks"),
    Step("alias_destinations", "alias_id", "aliases", by="alias_id"),
    Step("alias_destinations", "destination_id", "destinations", by="destination_id"),
    Step("destination_verifications", "destination_id", "destinations"),
    Step("aliases"),
    Step("aliases", "domain_id", "domains", sets="domain_id = NULL"),
    Step("domains"),
    Step("destinations"),
)
# what a run at work may have in hand
QUEUES = ("failed_emails", "webhook_deliveries", "notifications", "export_requests")
# what has to be known of a row as it is deleted: its file, or the address that is retired
READ = {"failed_emails": "id, raw_path", "overflow_hold": "id, raw_path",
        "spam_quarantine": "id, raw_path", "export_requests": "id, file_name",
        "aliases": "id, address"}
# a row in the hands of a run at work: that run stores what comes of it
NOT_HELD = f" AND (status NOT IN ('sending', 'running') OR NOT COALESCE({IN_HAND}, 0))"

ENDED = ("status = 'failed', finished_at = :now, next_attempt_at = NULL, "
         f"last_error = 'cancelled: {WHY}'")
ENDED_FORWARD = f"{ENDED}, notified_at = :now"

# Nobody gets in, nothing comes in.
SHUT = (
    Step("sessions"), Step("magic_links"),
    Step("destination_verifications", "destination_id", "destinations"),
    Step("webhooks", sets=f"active = 0, disabled_at = :now, disabled_reason = '{WHY}'",
         only="active = 1"),
    Step("aliases", sets="active = 0", only="active = 1"),
)
# Nothing is sent, but the notice of this deletion. Exports need no more than their time: their
# links open nothing, and export_accounts ends them.
CANCELLED = (
    Step("failed_emails", sets=ENDED_FORWARD, only="status = 'pending'"),
    Step("failed_emails", "destination_id", "destinations", sets=ENDED_FORWARD,
         only="status = 'pending'"),
    Step("webhook_deliveries", sets=ENDED, only="status = 'pending'"),
    Step("notifications", sets=f"{ENDED}, body_text = NULL, body_html = NULL",
         only="status = 'pending' AND COALESCE(dedupe_key, '') <> :notice"),
    Step("export_requests", only="status = 'ready' AND token_hash IS NOT NULL", sets="token_hash = "
         "NULL, expires_at = CASE WHEN expires_at > :now THEN :now ELSE expires_at END"),
)


class Restored(Exception):
    """The account was made active again meanwhile: nothing more of it may be touched."""


def run(ctx, new: list, going: list) -> None:
    """Close what is new, then delete what is due, as far as `--limit` goes."""
    is_held = guard.stops(ctx, "accounts")
    if ctx.dry_run and not is_held:
        _preview(ctx, new, going)
    if is_held or ctx.dry_run:
        return
    # to close is not a matter of age: it is done also while the clock is in doubt
    new = [account for account in new if account.is_timed or ctx.may_expire()]
    if (_each(ctx, new, lambda one: one.take(SHUT)) and _each(ctx, new, Deletion.cancel)
            and ctx.may_expire()):
        _each(ctx, find(ctx)[1], Deletion.erase)


def _each(ctx, accounts: list, work) -> bool:
    """`work(Deletion)` of one after the other, until one returns False: the run is to stop."""
    for account in accounts:
        with alone(ctx, account.id):
            try:
                if not work(Deletion(ctx, account)):
                    return False
            except Restored:
                ctx.count("restored")
    return True


class Deletion:
    """What one run does to one account."""

    def __init__(self, ctx, account) -> None:
        self.ctx, self.db, self.account = ctx, ctx.db, account

    def cancel(self) -> bool:
        """Nothing is sent; then a newly deleted account is closed, and its owner notified."""
        if not self.take(CANCELLED):
            return False
        if not self.account.is_closed:
            self.db.batch(self._mark)
        self.ctx.log.event("revoked", user_id=self.account.id)
        self.ctx.count("revoked")
        return True

    def erase(self) -> bool:
        """All that it has is deleted, its own row last."""
        ctx, deletion = self.ctx, self.account.deletion
        if ctx.should_stop(ctx.counts["revoked"] + ctx.counts["erased"]):
            return False
        if deletion["counts"] == "{}":  # before the first row is deleted
            self.db.execute("UPDATE {account_deletions} SET counts = :counts WHERE id = :id",
                            id=deletion["id"], counts=json.dumps(
                                {**rows_of(ctx, self.account), "users": 1}, sort_keys=True))
        if not self.take(ORDER):
            return False
        if self.db.batch(self._finish):
            ctx.count("erased")
            ctx.log.event("erased", user_ref=self.account.ref, deletion=deletion["id"])
        else:
            ctx.count("waiting")
        return True

    # The account's own rows, each in one transaction

    def _check(self) -> None:
        """Restored, unless the account still is what it was when it was chosen. Locks its row."""
        if self.db.value(f"SELECT status FROM {{users}} WHERE id = :user{self.db.for_update}",
                         user=self.account.id) != "deleted":
            raise Restored()

    def _mark(self) -> None:
        """The account counts as closed, and its owner is notified of the day."""
        self._check()
        ctx, db, account = self.ctx, self.db, self.account
        id = db.value("SELECT id FROM {account_deletions} WHERE user_ref = :ref "
                      f"AND completed_at IS NULL{db.for_update}", ref=account.ref)
        id = id or db.insert("account_deletions", user_ref=account.ref)
        if not account.is_timed:  # its grace begins when it is seen
            db.execute("UPDATE {users} SET deleted_at = :now WHERE id = :id", now=ctx.now,
                       id=account.id)
            ctx.log.warning("no time of deletion", user_id=account.id,
                            what="users.deleted_at is missing, or far ahead: set to the present")
        db.execute("UPDATE {account_deletions} SET requested_at = :requested, revoked_at = :now, "
                   "erase_after = :day, counts = :counts WHERE id = :id", id=id, counts="{}",
                   requested=account.deleted_at, now=ctx.clock(), day=_day(ctx, account))
        ctx.count("notices", write_notice(ctx, account))

    def _finish(self) -> bool:
        """Delete the user's own row. False where a run has rows of it in hand, or somebody has just
        written some: the next run goes on."""
        self._check()
        ctx, account, now = self.ctx, self.account, self.ctx.clock()
        if rows_of(ctx, account):
            return False
        self.db.execute("DELETE FROM {users} WHERE id = :id", id=account.id)
        self.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id",
                        id=account.deletion["id"], now=now)
        # a row in the audit log that names nobody
        notices.audit(ctx, None, "account.deleted", {"deletion": account.deletion["id"]})
        # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never
        # one too few.
        _note_erased(ctx, {
            "user_id": account.id, "user_ref": account.ref, "created_at": account.created_at,
            "deleted_at": account.deleted_at, "completed_at": clock.text(now)})
        return True

    # Rows in batches

    def take(self, steps: tuple) -> bool:
        """Delete, or change, what each Step is about. False when the run is to stop."""
        return all(self._in_ranges(step, *rule) for step in steps for rule in self._rules(step))

    def _rules(self, step):
        """(SQL, ids bound in it) of the rows that a step is about: for those of a parent, of a page
        of parents each, since not all engines delete well by a subquery."""
        also = (f" AND {step.only}" if step.only else "") + NOT_HELD * (step.table in QUEUES)
        if step.of == "users":
            yield f"{step.column} = :user{also}", ()
            return
        for rows in self.db.pages(f"SELECT id FROM {{{step.of}}} WHERE user_id = :user",
                                  size=LISTED, user=self.account.id):
            yield f"{step.column} IN (:parents){also}", [row["id"] for row in rows]

    def _in_ranges(self, step, rule: str, parents) -> bool:
        """Of the column `by`."""
        ctx, table, by = self.ctx, f"{{{step.table}}}", step.by
        bound = {"user": self.account.id, "parents": parents, "now": ctx.clock(),
                 "notice": notice_key(self.account)}
        sizer = BatchSizer(ctx, FILES_AT_ONCE if step.table in READ and not step.sets else None)
        start = rule
        while not ctx.should_stop():
            where = start
            last = self.db.value(f"SELECT {by} FROM {table} WHERE {where} ORDER BY {by} "
                                 "LIMIT 1 OFFSET :skipped", skipped=sizer.rows - 1, **bound)
            if last is not None:
                where, bound["last"] = f"{where} AND {by} <= :last", last
            elif not self.db.query(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", **bound):
                return True  # mostly there is nothing: no transaction for that
            done = sizer.batch(partial(self._batch, step, where, bound))
            if done is None:
                continue  # it had to give way
            ctx.count("rows", done)
            ctx.progress(ctx.counts["rows"], accounts=ctx.counts["erased"])
            if last is None:
                return True
            # what was deleted is not passed over again while InnoDB keeps it for others
            start, bound["since"] = f"{rule} AND {by} > :since", last
        return False

    def _batch(self, step, where: str, bound: dict) -> int:
        """One transaction; how many rows it has changed, or deleted with what follows from them."""
        self._check()
        table, read = f"{{{step.table}}}", READ.get(step.table)
        if step.sets:
            return self.db.execute(f"UPDATE {table} SET {step.sets} WHERE {where}", **bound)
        if not read:
            return self.db.execute(f"DELETE FROM {table} WHERE {where}", **bound)
        rows = self.db.query(f"SELECT {read} FROM {table} WHERE {where}{self.db.for_update}",
                             **bound)
        number = self.db.execute(f"DELETE FROM {table} WHERE id IN (:ids)",
                                 ids=[row["id"] for row in rows])
        if step.table == "aliases":
            retire(self.ctx, [row["address"] for row in rows])
        elif step.table == "export_requests":
            from jobs_lib.features import exports
            self.ctx.count("files", sum(exports.remove(self.ctx, row["file_name"]) for row in rows))
        elif rows:
            spool.need_folder(self.db, self.ctx.section("spool").dir)
            spool.drop(self.ctx, [row["raw_path"] for row in rows])
        return number


def _day(ctx, account):
    """On which it is to be erased."""
    return clock.plus(clock.parse(account.deleted_at), ctx.options.grace)


def write_notice(ctx, account) -> int:
    """Write the notice that names the day, in a transaction; a dry run writes none. How many it is:
    0 of a day that has passed, to an address that cannot be used, or of a deletion that had one."""
    day = _day(ctx, account)
    if not account.email or day <= ctx.now:
        return 0
    values = {"date": render.day(day), "closed": render.day(clock.parse(account.deleted_at))}
    written = notices.notify(ctx, account._asdict(), "account_deletion_scheduled",
                             notice_key(account), values)
    return int(written is not None)


def rows_of(ctx, account) -> Counter:
    """{table: how many rows are deleted with the account, or made anonymous}, without zeros."""
    found: Counter = Counter()
    for step in ORDER:
        whose = f"{step.column} = :user" if step.of == "users" else (
            f"{step.column} IN (SELECT id FROM {{{step.of}}} WHERE user_id = :user)")
        if step.table not in found:  # its first step is about its own rows
            found[step.table] = ctx.db.value(
                f"SELECT COUNT(*) FROM {{{step.table}}} WHERE {whose}", user=account.id)
    return +found


def _note_erased(ctx, entry: dict) -> None:
    """Add a line to `state_dir/deletions.jsonl`, safe on the disk when this returns; JobsError
    where that cannot be. A database backup that is put back brings deleted accounts with it, and
    docs/operate.md has the UPDATE that deletes them again. It names a user by id and by when the
    account was made, since ids may be given again."""
    path = os.path.join(ctx.section("core").state_dir, LEDGER)
    line = json.dumps({**entry, "database": spool.database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            end = file.tell()
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = "\n" + line  # a power cut left half a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JobsError(f"{path}: {error.strerror}: no account is deleted for good before that is "
                        "recorded there") from None


def _preview(ctx, new: list, going: list) -> None:
    """Show and count what a run would do; an account that is closed and erased counts twice."""
    notices = sum(write_notice(ctx, account) for account in new)
    rows = sum(sum(rows_of(ctx, account).values()) for account in going)
    for words, accounts in (
            (f"close {counted(len(new), 'deleted account')}, with {counted(notices, 'notice')}",
             new),
            (f"delete {counted(len(going), 'account')} for good, with {counted(rows, 'row')}",
             going)):
        ctx.show(words, [{"id": account.id, "status": "deleted",
                          "deleted_at": account.deleted_at if account.is_timed else "now"}
                         for account in accounts[:SAMPLE_ROWS]])
    ctx.counts.update(revoked=len(new), erased=len(going), notices=notices, rows=rows)
