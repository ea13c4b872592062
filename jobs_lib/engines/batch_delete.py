"""Deleting a selection of rows in short batches, so that nobody who writes beside it waits long.

The time index says where the next rows are. Where they are close together, as old rows mostly are,
ranges of the primary key delete them, which is the fastest way that both engines know. Where that
is less than a fifth of a range, or keys are text, lists of their ids delete them, oldest first.

A batch is one commit. Its size follows the time that the last one took, and a pause after it lets
the others in: how long both should be, the dialect says.
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
Rows.__doc__ = """The rows that a batch is about to delete, as ` FROM table WHERE ...`.

values  of all of the condition          key  the part of it about `id`: ` BETWEEN ...`
"""


class BatchSizer:
    """Batches of rows, each one commit, and how many the next one takes."""

    def __init__(self, ctx, most: int | None = None) -> None:
        self._ctx, self._batches = ctx, ctx.db.dialect.batches
        self._most = min(most or self._batches.most, self._batches.most)
        self._least = min(self._batches.least, self._most)
        self.rows = min(FIRST, self._most)

    def batch(self, work, width: int | None = None) -> int | None:
        """`work()`, in one transaction, and the pause that lets others in: how many rows it has
        changed. None where it had to give way: then fewer are to be tried again. `width`: how many
        it has looked at."""
        began = self._ctx.monotonic()
        try:
            rows = self._ctx.db.batch(work, retry_on=Lost)
        except Conflict:
            if self.rows <= FEWEST:
                raise
            self.rows = max(FEWEST, self.rows // 2)
            self._ctx.sleep(AFTER_CONFLICT)
            return None
        seconds = self._ctx.monotonic() - began
        width = rows if width is None else width
        aim = width * self._batches.seconds / max(seconds, 1e-6)
        self.rows = int(min(self._most, self.rows * 2, max(self._least, self.rows / 2, aim)))
        # a few rows bar nobody for long
        least = self._batches.pause * min(1.0, width / self._batches.least)
        self._ctx.sleep(max(least, seconds * self._batches.share))
        return rows


class BatchDeleter:
    """Deletes one Selection after the other, until there is nothing left or the run is to stop.
    `rows` is how many there were so far, which are counted as `deleted`.

    `files` is the column that names a file, or `within(db, rows)` is called in each batch's
    transaction just before the DELETE, with Rows that are locked and that are just those which will
    be deleted.
    """

    def __init__(self, ctx, files: str | None = None, within=None) -> None:
        self.ctx, self.db, self.rows = ctx, ctx.db, 0
        self.files, self.within = files, within
        self._sizer = BatchSizer(ctx, FILES_AT_ONCE if files else None)
        # since the last checkpoint; as many pages as that one found
        self._logged, self._pages_per_row = 0, float(PAGES)
        if ctx.db.dialect.before_batches:
            self.db.query(ctx.db.dialect.before_batches)

    def delete(self, chosen) -> None:
        """Delete a Selection, page after page by its index."""
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
        while ids and not self.ctx.should_stop(self.rows):
            some = ids[:self._most(LISTED)]
            if self._delete(chosen, " IN (:ids)", len(some), ids=some) is not None:
                ids = ids[len(some):]

    def _delete_ranges(self, chosen, start: int) -> int:
        """Ranges of the primary key from `start` on, as long as they are worth it. Where the next
        one would begin."""
        while not self.ctx.should_stop(self.rows):
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
        deleted = self._sizer.batch(partial(self._transaction, chosen.table, rows), width)
        if deleted is not None:
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
