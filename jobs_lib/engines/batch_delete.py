"""Deleting a selection of rows in short batches, so that nobody who writes beside it waits long.

The time index says where the next rows are. Where they are close together, as old rows mostly are,
ranges of the primary key delete them, which is the fastest way that both engines know. Where that
is less than a fifth of a range, or keys are text, lists of their ids delete them, oldest first.

A batch is one commit. Its size follows the time that the last one took, and a pause after it lets
the others in. How long both should be is for the dialect to say. One that had to give way to others
is tried again with half as many rows.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import clock
from jobs_lib.errors import Conflict, Lost
from jobs_lib.records import namedtuple

from . import spool

FIRST = 1000                 # rows in the first batch
SPARSE = 5                   # a range of ids should lose at least one row in so many
LISTED = 900                 # ids in one statement: for more, MariaDB turns the list into a join
PAGES = 900                  # of SQLite's log, which each other writer copies when it has 1,000
FEWEST = 100                 # rows, of a batch that had to give way
TRIES = 3                    # of such a batch
AFTER_CONFLICT = 1.0         # seconds before the next try
FILES_AT_ONCE = 100          # rows with files, which are deleted before the commit

Batch = namedtuple("Batch", "rows files bytes")
Batch.__doc__ = "What one commit deleted: how many rows, how many of their files, and their bytes."
Rows = namedtuple("Rows", "source key filter values")
Rows.__doc__ = """The rows that a batch is about to delete, for what keeps something of them.

source  ` FROM table WHERE ...`, all of the condition
key     the part of it about `id`: ` BETWEEN ...`
filter  the other part, that of the Selection
values  of both
"""


class BatchSizer:
    """How many rows the next batch takes, and how long to wait before it."""

    def __init__(self, batches, most: int | None = None) -> None:
        self._batches = batches
        self._most = min(most or batches.most, batches.most)
        self._least = min(batches.least, self._most)
        self.rows = min(FIRST, self._most)
        self._conflicts = 0             # in a row

    def pause_after(self, rows: int, seconds: float) -> float:
        """Learn from a batch of this many rows that held its locks this long; returns the pause
        that it calls for, in seconds."""
        self._conflicts = 0
        aim = rows * self._batches.seconds / max(seconds, 1e-6)
        self.rows = int(min(self._most, self.rows * 2, max(self._least, self.rows / 2, aim)))
        # a few rows bar nobody for long
        least = self._batches.pause * min(1.0, rows / self._batches.least)
        return max(least, seconds * self._batches.share)

    def pause_after_conflict(self, error: Conflict) -> float:
        """Half as many rows after a batch that had to give way; returns the pause before them, in
        seconds. Raises the error when they are few already, and again and again give way."""
        self._conflicts += 1
        if self._conflicts >= TRIES and self.rows <= FEWEST:
            raise error
        self.rows = max(min(FEWEST, self._most), self.rows // 2)
        return AFTER_CONFLICT


class BatchDeleter:
    """Deletes one Selection of a table after the other, until there is nothing left or the run is
    to stop: `limit`, `stuck`, or what else is its reason.

    `files` is the column that names a file, or `within(db, rows)` is called in each batch's
    transaction just before the DELETE, with Rows that are locked and that are just those which will
    be deleted. `number` and `rows` are what was done so far, batches and rows.
    """

    def __init__(self, ctx, table: str, files: str | None = None, within=None) -> None:
        self.ctx, self.db, self.files, self.within = ctx, ctx.db, files, within
        self.table, self.number, self.rows = table, 0, 0
        self._has_numbers = table not in ctx.db.text_keys
        self._sizer = BatchSizer(ctx.db.dialect.batches, FILES_AT_ONCE if files else None)
        self._next = ctx.monotonic()            # when the next batch may begin
        # since the last checkpoint; as many pages as that one found
        self._logged, self._pages_per_row = 0, float(PAGES)
        if ctx.db.dialect.before_batches:
            self.db.query(ctx.db.dialect.before_batches)

    def batches(self, chosen):
        """Delete, and yield a Batch after each commit. What the caller does with it counts as a
        part of the pause after it."""
        for branch in chosen.branches:
            yield from self._branch(chosen, branch)

    def delete_ids(self, chosen, ids):
        """Delete just these rows, as far as `chosen` still says so, in their order; yield as
        `batches` does."""
        ids = list(ids)
        while ids and self._may_go_on():
            some = ids[:self._most(LISTED)]
            if batch := self._delete(chosen, " IN (:ids)", len(some), ids=some):
                del ids[:len(some)]
                yield batch

    def log(self) -> None:
        """One event for all that was deleted."""
        self.ctx.log.event("purge", table=self.table, **self.ctx.counts, batches=self.number,
                           reason=self.ctx.stop_reason or "done")

    def _branch(self, chosen, branch):
        since = tried = None
        while self._may_go_on():
            before, asked = self.rows, self._most(LISTED)
            found = self._oldest(chosen, branch, since, asked)
            ids = [row["id"] for row in found]
            if not ids:
                return
            if (len(ids) == asked and self._has_numbers and not chosen.listed
                    and max(ids) - min(ids) < SPARSE * asked):
                yield from self._ranges(chosen, min(ids))
            elif batch := self._delete(chosen, " IN (:ids)", len(ids), ids=ids):
                age = found[-1]["age"]
                # MySQL takes no other
                since = age if isinstance(age, int) or clock.parse_any(age) else since
                yield batch
            else:
                continue
            if self.rows > before and len(ids) < asked:
                return
            if self.rows == before and ids == tried:
                self.ctx.stop("stuck")          # found again, and again none of them was deleted
            tried = ids

    def _ranges(self, chosen, start: int):
        """Ranges of the primary key from `start` on, as long as they are worth it."""
        while self._may_go_on():
            width = self._most(self._sizer.rows)
            batch = self._delete(chosen, " BETWEEN :low AND :high", width, low=start,
                                 high=start + width - 1)
            if batch:
                start += width
                yield batch
                if batch.rows * SPARSE < width:
                    return

    def _oldest(self, chosen, branch, since, most: int) -> list[dict]:
        """The next rows by the branch's time index. Those before `since` are deleted: to pass them
        over takes time too."""
        values, later = chosen.values, ""
        if since is not None:
            values, later = {**values, "since": since}, f" AND {branch.age} >= :since"
        return self.db.query(f"SELECT id, {branch.age} AS age FROM {{{self.table}}} "
                             f"WHERE {branch.sql}{later} ORDER BY {branch.age} LIMIT :most",
                             **values, most=most)

    def _delete(self, chosen, key: str, width: int, **values) -> Batch | None:
        """One batch, and when the next one may begin. None where it had to give way. `key`: the
        condition about `id`; `width`: how many ids it is about."""
        # With text, SQLite would else go through all that is old by the time index, for each list.
        rule = chosen.sql if self._has_numbers else f"CASE WHEN {chosen.sql} THEN 1 ELSE 0 END = 1"
        source = f" FROM {{{self.table}}}{self.db.by_key(self.table)} WHERE id{key} AND {rule}"
        rows = Rows(source, key, rule, {**chosen.values, **values})
        began = self.ctx.monotonic()
        try:
            batch = self.db.batch(partial(self._transaction, rows), retry_on=Lost)
        except Conflict as error:
            self._next = self.ctx.monotonic() + self._sizer.pause_after_conflict(error)
            return None
        ended = self.ctx.monotonic()
        self._next = ended + self._sizer.pause_after(width, ended - began)
        self.number, self.rows = self.number + 1, self.rows + batch.rows
        if self.db.dialect.after_batch:
            self._checkpoint(batch.rows)
        return batch

    def _transaction(self, rows: Rows) -> Batch:
        names, expected = [], None
        if self.files:
            names = [row["name"] for row in self.db.query(
                f"SELECT {self.files} AS name{rows.source}{self.db.for_update}", **rows.values)]
            expected = len(names)
        elif self.within:
            expected = self.db.value(f"SELECT COUNT(*) AS number{rows.source}{self.db.for_update}",
                                     **rows.values)
            if expected:
                self.within(self.db, rows)
        deleted = self.db.execute(f"DELETE{rows.source}", **rows.values)
        if expected not in (None, deleted):
            # a row came in meanwhile, of which nothing is known
            raise Conflict(f"rows of {self.table} changed while they were looked at")
        folder = self.ctx.section("spool").dir if names else ""
        return Batch(deleted, *spool.drop(self.db, folder, names))

    def _checkpoint(self, rows: int) -> None:
        """Copy SQLite's log into the database before the next batch makes it so long that another
        writer would do it. Each time waits for the disk."""
        self._logged += rows
        if (self._logged + self._sizer.rows) * self._pages_per_row >= PAGES:
            pages = self.db.row(self.db.dialect.after_batch)["log"]
            self._pages_per_row = max(pages, 1) / max(self._logged, 1)
            self._logged = 0

    def _most(self, wanted: int) -> int:
        """At most how many rows now: by the sizer and by `--limit`."""
        return self.ctx.within_limit(min(wanted, self._sizer.rows), self.rows)

    def _may_go_on(self) -> bool:
        if not self.ctx.should_stop(self.rows):
            self.ctx.sleep(self._next - self.ctx.monotonic())
        return not self.ctx.should_stop()
