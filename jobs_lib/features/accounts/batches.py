"""Changing the rows of one deleted account in short batches."""
from __future__ import annotations

from functools import partial

from jobs_lib.engines import spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE, LISTED, BatchSizer
from jobs_lib.engines.rows import IN_HAND, in_hand
from jobs_lib.errors import Conflict, Lost
from jobs_lib.features.notifications.reminders import alone

from .order import QUEUES, READ
from .retired import LABEL, address_hash

THEIRS = "user_id = :user"
# a row in the hands of a run at work: that run stores what comes of it
NOT_HELD = f" AND (status NOT IN ('sending', 'running') OR NOT COALESCE({IN_HAND}, 0))"


class Restored(Exception):
    """The account was made active again: nothing more of it may be touched."""


def of_each(ctx, accounts: list, work) -> bool:
    """`work(account)` of one after the other, until one returns False: the run is to stop."""
    for account in accounts:
        with alone(ctx, account.user_id):
            try:
                if not work(account):
                    return False
            except Restored:
                ctx.count("restored")
                ctx.log.warning("account changed meanwhile", user_id=account.user_id,
                                what="it is not deleted any more: left alone")
    return True


class Batches:
    """The rows of one account. How many a transaction takes, and the pause after it, follow the
    time of the last one, as in batch_delete.py."""

    def __init__(self, ctx, account) -> None:
        self.ctx, self.db, self.user_id = ctx, ctx.db, account.user_id
        self.sizer = BatchSizer(ctx.db.dialect.batches)
        self.is_checked = False                     # whether the spool folder is the right one

    def take(self, step) -> bool:
        """Delete, or make anonymous, what a Step is about. False when the run is to stop."""
        held = NOT_HELD if step.table in QUEUES else ""
        if step.of == "users":
            return self.change(step.table, THEIRS + held, step.sets, step.by)
        # pages of what they belong to: not all engines delete well by a subquery
        return all(self.change(step.table, f"{step.column} IN (:parents){held}", step.sets, step.by,
                               parents=[row["id"] for row in rows])
                   for rows in self.db.pages(f"SELECT id FROM {{{step.of}}} WHERE {THEIRS}",
                                             size=LISTED, user=self.user_id))

    def change(self, table: str, rule: str, sets: str = "", by: str = "id", **values) -> bool:
        """Delete the rows that the rule finds, or with `sets` UPDATE them, in ranges of the column
        `by`. False when the run is to stop."""
        bound = {"user": self.user_id, **in_hand(self.ctx.clock()), **values}
        has_files = table in READ and not sets
        where = rule
        while not self.ctx.should_stop():
            most = min(self.sizer.rows, FILES_AT_ONCE) if has_files else self.sizer.rows
            last = by and self.db.value(
                f"SELECT {by} FROM {{{table}}} WHERE {where} ORDER BY {by} LIMIT 1 OFFSET :skipped",
                skipped=most - 1, **bound)
            if last:
                part, bound["last"] = f"{where} AND {by} <= :last", last
            elif not self.db.query(f"SELECT 1 FROM {{{table}}} WHERE {where} LIMIT 1", **bound):
                return True             # mostly there is nothing: no transaction for that
            work = partial(self._change, table, part if last else where, sets, bound)
            if self._timed(work):
                if not last:
                    return True
                # what was deleted is not passed over again while InnoDB keeps it for others
                where, bound["since"] = f"{rule} AND {by} > :since", last
        return False

    def _timed(self, work) -> bool:
        """One transaction and the pause after it. False where it had to give way to others and is
        to be tried again, with half as many rows."""
        begin = self.ctx.monotonic()
        try:
            done = self.db.batch(work, retry_on=Lost)
        except Conflict as error:
            self.ctx.sleep(self.sizer.pause_after_conflict(error))
            return False
        if done:
            self.ctx.count("rows", done)
            self.ctx.progress(self.ctx.counts["rows"], accounts=self.ctx.counts["erased"])
            self.ctx.sleep(self.sizer.pause_after(done, self.ctx.monotonic() - begin))
        return True

    def _change(self, table: str, where: str, sets: str, values: dict) -> int:
        self.check_status()
        if sets:
            return self.db.execute(f"UPDATE {{{table}}} SET {sets} WHERE {where}", **values)
        rows = self.db.query(f"SELECT {READ[table]} FROM {{{table}}} WHERE {where}"
                             f"{self.db.for_update}", **values) if table in READ else []
        number = self.db.execute(f"DELETE FROM {{{table}}} WHERE {where}", **values)
        if table in READ and len(rows) != number:
            raise Conflict(f"rows of {table} changed while they were deleted")
        if rows:
            self._finish(table, rows)
        return number

    def check_status(self) -> None:
        """Restored, unless the account still is what it was when it was chosen. Locks its row."""
        if self.db.value(f"SELECT status FROM {{users}} WHERE id = :user{self.db.for_update}",
                         user=self.user_id) != "deleted":
            raise Restored()

    def _finish(self, table: str, rows: list[dict]) -> None:
        """What follows from rows that the open transaction has deleted: addresses are retired,
        files go."""
        ctx = self.ctx
        if table == "aliases":
            key, now = ctx.secret(LABEL), ctx.clock()
            for hashed in sorted({address_hash(key, row["address"]) for row in rows}):
                self.db.upsert("retired_addresses", {"address_hash": hashed}, {"created_at": now})
        elif table == "export_requests":
            from jobs_lib.features.exports import files
            ctx.count("files", sum(files.remove(ctx, row) for row in rows))
        else:
            folder = ctx.section("spool").dir
            if not self.is_checked:
                spool.need_folder(self.db, folder)
                self.is_checked = True
            number, freed = spool.drop(self.db, folder, [row["raw_path"] for row in rows])
            ctx.count("files", number)
            ctx.count("bytes_freed", freed)
