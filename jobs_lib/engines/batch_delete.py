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
from jobs_lib.database.connection import rows_behind
from jobs_lib.errors import Conflict, Lost
from jobs_lib.records import namedtuple

from . import spool

FIRST = 1000                 # rows in the first batch
SPARSE = 5                   # a range of ids should lose at least one row in so many
LISTED = 900                 # ids in one statement: for more, MariaDB turns the list into a join
PAGES = 900                  # of SQLite's log, which each other writer copies when it has 1,000
FEWEST = 10                  # rows, of a batch that had to give way
AFTER_CONFLICT = 1.0         # seconds before the next try
FILES_AT_ONCE = 100          # rows with files, which are deleted before the commit

Rows = namedtuple("Rows", "source key values")
Rows.__doc__ = """The rows that a batch is about to delete, for what keeps something of them.

source  ` FROM table WHERE ...`, all of the condition, with its `values`
key     the part of it about `id`: ` BETWEEN ...`
"""


class BatchSizer:
    """How many rows the next batch takes, and how long to wait before it."""

    def __init__(self, batches, most: int | None = None) -> None:
        self._batches = batches
        self._most = min(most or batches.most, batches.most)
        self._least = min(batches.least, self._most)
        self.rows = min(FIRST, self._most)

    def pause_after(self, rows: int, seconds: float) -> float:
        """Learn from a batch of this many rows that held its locks this long; returns the pause
        that it calls for, in seconds."""
        aim = rows * self._batches.seconds / max(seconds, 1e-6)
        self.rows = int(min(self._most, self.rows * 2, max(self._least, self.rows / 2, aim)))
        # a few rows bar nobody for long
        least = self._batches.pause * min(1.0, rows / self._batches.least)
        return max(least, seconds * self._batches.share)

    def pause_after_conflict(self, error: Conflict) -> float:
        """Half as many rows after a batch that had to give way; returns the pause before them, in
        seconds. Raises the error when they are few already."""
        if self.rows <= FEWEST:
            raise error
        self.rows = max(FEWEST, self.rows // 2)
        return AFTER_CONFLICT


class BatchDeleter:
    """Deletes one Selection after the other, until there is nothing left or the run is to stop.
    `rows` is how many there were so far, which are counted as `deleted`.

    `files` is the column that names a file, or `within(db, rows)` is called in each batch's
    transaction just before the DELETE, with Rows that are locked and that are just those which will
    be deleted.
    """

    def __init__(self, ctx, files: str | None = None, within=None) -> None:
        self.ctx, self.db, self.files, self.within, self.rows = ctx, ctx.db, files, within, 0
        self._sizer = BatchSizer(ctx.db.dialect.batches, FILES_AT_ONCE if files else None)
        self._next = ctx.monotonic()            # when the next batch may begin
        # since the last checkpoint; as many pages as that one found
        self._logged, self._pages_per_row = 0, float(PAGES)
        if ctx.db.dialect.before_batches:
            self.db.query(ctx.db.dialect.before_batches)

    def delete(self, chosen) -> None:
        """Delete a Selection: page after page by its index, each behind the last row of the one
        before."""
        keys = tuple(dict.fromkeys((chosen.age, "id")))
        ranged = chosen.age != "id" and chosen.table not in self.db.text_keys
        behind, values, full = "", chosen.values, True
        while full and not self.ctx.should_stop(self.rows):
            page = self.db.query(f"SELECT {', '.join(keys)} FROM {{{chosen.table}}} WHERE "
                                 f"{chosen.sql}{behind} ORDER BY {', '.join(keys)} LIMIT :most",
                                 **values, most=LISTED)
            ids, full = [row["id"] for row in page], len(page) == LISTED
            if full and ranged and max(ids) - min(ids) < SPARSE * LISTED:
                rest = self._delete_ranges(chosen, min(ids))
                ids = [id for id in ids if id >= rest]
            self.delete_ids(chosen, ids)
            # MySQL takes no other time as a value
            if full and (chosen.age == "id" or clock.parse_any(page[-1][chosen.age])):
                behind = f" AND {rows_behind(keys)}"
                values = {**values, **{f"last_{key}": page[-1][key] for key in keys}}

    def delete_ids(self, chosen, ids: list) -> None:
        """Delete just these rows, as far as `chosen` still says so, in their order."""
        while ids and self._may_go_on():
            some = ids[:self._most(LISTED)]
            if self._delete(chosen, " IN (:ids)", len(some), ids=some) is not None:
                ids = ids[len(some):]

    def _delete_ranges(self, chosen, start: int) -> int:
        """Ranges of the primary key from `start` on, as long as they are worth it. Where the next
        one would begin."""
        while self._may_go_on():
            width = self._most(self._sizer.rows)
            rows = self._delete(chosen, " BETWEEN :low AND :high", width, low=start,
                                high=start + width - 1)
            if rows is not None:
                start += width
                if rows * SPARSE < width:
                    break
        return start

    def _delete(self, chosen, key: str, width: int, **values) -> int | None:
        """How many rows one batch has deleted; None where it had to give way. `key`: the condition
        about `id`; `width`: how many ids it is about."""
        # CASE: else an engine may go through all that is old by the time index, for each batch
        source = (f" FROM {{{chosen.table}}} WHERE id{key} "
                  f"AND CASE WHEN {chosen.sql} THEN 1 ELSE 0 END = 1")
        rows = Rows(source, key, {**chosen.values, **values})
        began = self.ctx.monotonic()
        try:
            deleted = self.db.batch(partial(self._transaction, chosen.table, rows), retry_on=Lost)
        except Conflict as error:
            self._next = self.ctx.monotonic() + self._sizer.pause_after_conflict(error)
            return None
        ended = self.ctx.monotonic()
        self._next = ended + self._sizer.pause_after(width, ended - began)
        self.rows += deleted
        self.ctx.progress(self.rows)
        if self.db.dialect.after_batch:
            self._checkpoint(deleted)
        return deleted

    def _transaction(self, table: str, rows: Rows) -> int:
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
            raise Conflict(f"rows of {table} changed while they were looked at")
        self.ctx.count("deleted", deleted)
        if self.files:
            spool.drop(self.ctx, names)
        return deleted

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
