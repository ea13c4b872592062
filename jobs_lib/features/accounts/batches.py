"""Changing the rows of one deleted account in short batches, in an order that a test compares with
the schema's references.

Queues come first, so that nothing more is sent; a table comes before those that its rows refer to;
and `domains` and `destinations` come last, since an app's foreign keys often lead to them.
"""
from __future__ import annotations

from functools import partial

from jobs_lib.engines import spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE, LISTED, BatchSizer
from jobs_lib.engines.due import IN_HAND
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.records import namedtuple

from . import retire

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


class Restored(Exception):
    """The account was made active again meanwhile: nothing more of it may be touched."""


def of_each(ctx, accounts: list, work) -> bool:
    """`work(Batches)` of one after the other, until one returns False: the run is to stop."""
    for account in accounts:
        with alone(ctx, account.id):
            try:
                if not work(Batches(ctx, account)):
                    return False
            except Restored:
                ctx.count("restored")
    return True


class Batches:
    """The rows of one account."""

    def __init__(self, ctx, account) -> None:
        self.ctx, self.db, self.account = ctx, ctx.db, account

    def take(self, steps: tuple) -> bool:
        """Delete, or change, what each Step is about. False when the run is to stop."""
        return all(self._take(step, *rule) for step in steps for rule in self._rules(step))

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

    def _take(self, step, rule: str, parents) -> bool:
        """In ranges of the column `by`."""
        ctx, table, by, now = self.ctx, f"{{{step.table}}}", step.by, self.ctx.clock()
        bound = {"user": self.account.id, "parents": parents, "now": now}
        is_read = step.table in READ and not step.sets
        sizer = BatchSizer(ctx, FILES_AT_ONCE if is_read else None)
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
        self.check_status()
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

    def check_status(self) -> None:
        """Restored, unless the account still is what it was when it was chosen. Locks its row."""
        if self.db.value(f"SELECT status FROM {{users}} WHERE id = :user{self.db.for_update}",
                         user=self.account.id) != "deleted":
            raise Restored()
