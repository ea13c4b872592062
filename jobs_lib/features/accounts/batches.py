"""Changing the rows of one deleted account in short batches."""
from __future__ import annotations

from functools import partial

from jobs_lib.engines import spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE, LISTED, BatchSizer
from jobs_lib.engines.due import IN_HAND
from jobs_lib.errors import Conflict, Lost
from jobs_lib.features.notifications.reminders import alone

from . import retired
from .order import QUEUES, READ

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
        """In ranges of the column `by`. How many rows a transaction takes, and the pause after it,
        follow the time of the last one, as in batch_delete.py."""
        ctx, table, by, now = self.ctx, f"{{{step.table}}}", step.by, self.ctx.clock()
        bound = {"user": self.account.id, "parents": parents, "now": now}
        is_read = step.table in READ and not step.sets
        sizer = BatchSizer(self.db.dialect.batches, FILES_AT_ONCE if is_read else None)
        start = rule
        while not ctx.should_stop():
            where = start
            last = self.db.value(f"SELECT {by} FROM {table} WHERE {where} ORDER BY {by} "
                                 "LIMIT 1 OFFSET :skipped", skipped=sizer.rows - 1, **bound)
            if last is not None:
                where, bound["last"] = f"{where} AND {by} <= :last", last
            elif not self.db.query(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", **bound):
                return True             # mostly there is nothing: no transaction for that
            begin = ctx.monotonic()
            try:
                done = self.db.batch(partial(self._batch, step, where, bound), retry_on=Lost)
            except Conflict as error:
                ctx.sleep(sizer.pause_after_conflict(error))
                continue
            ctx.count("rows", done)
            ctx.progress(ctx.counts["rows"], accounts=ctx.counts["erased"])
            ctx.sleep(sizer.pause_after(done, ctx.monotonic() - begin))
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
            retired.retire(self.ctx, [row["address"] for row in rows])
        elif step.table == "export_requests":
            from jobs_lib.features.exports import files
            self.ctx.count("files", sum(files.remove(self.ctx, row["file_name"]) for row in rows))
        elif rows:
            spool.need_folder(self.db, self.ctx.section("spool").dir)
            spool.drop(self.ctx, [row["raw_path"] for row in rows])
        return number

    def check_status(self) -> None:
        """Restored, unless the account still is what it was when it was chosen. Locks its row."""
        if self.db.value(f"SELECT status FROM {{users}} WHERE id = :user{self.db.for_update}",
                         user=self.account.id) != "deleted":
            raise Restored()
