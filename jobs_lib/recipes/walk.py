"""Deleting a selection of rows in short batches, so that nobody who writes beside it waits long.

The time index tells where the next rows are. Where they lie close together, as old rows mostly do, ranges of the
primary key delete them, which is the fastest way that both engines know; where fewer than a fifth of a range
goes, the rows are deleted by their ids, oldest first. A batch is one commit. Its size follows the time that the
last one took, and a pause after it lets the others in. How long both should be is a word of the dialect.
"""
from __future__ import annotations

from collections import namedtuple

FIRST = 1000                 # rows in the first batch
SPARSE = 5                   # a range of ids should lose at least one row in so many
LISTED = 900                 # ids in one statement: for more, MariaDB turns the list into a join

Batch = namedtuple("Batch", "rows files")
Batch.__doc__ = "What one commit deleted: how many rows, and the files that they named."


class Pace:
    """How many rows the next batch takes, and how long to wait before it."""

    def __init__(self, batches, most: int | None = None) -> None:
        self._batches = batches
        self._most = min(most or batches.most, batches.most)
        self._least = min(batches.least, self._most)
        self.rows = min(FIRST, self._most)

    def after(self, rows: int, seconds: float) -> float:
        """Learn from a batch of so many rows that held its locks so long; the pause it calls for, in seconds."""
        aim = rows * self._batches.seconds / max(seconds, 1e-6)
        self.rows = int(max(self._least, min(self._most, self.rows * 2, max(self.rows / 2, aim))))
        return max(self._batches.pause, seconds * self._batches.share)


class Walk:
    """One walk over a Selection. `reason` says why it ended: done, stuck, limit, or what stops the run."""

    def __init__(self, ctx, chosen, files: str | None = None, most: int | None = None) -> None:
        self.ctx, self.db, self.chosen, self.files = ctx, ctx.db, chosen, files
        self.table, self.by_key = f"{{{chosen.table}}}", ctx.db.dialect.by_key
        self.pace = Pace(ctx.db.dialect.batches, most)
        self.reason, self.number, self.rows = "done", 0, 0
        self._began = self._rested = ctx.monotonic()

    def batches(self):
        """Delete, and yield a Batch after each commit, until all arms are empty or there is a reason to stop.

        What the caller does with a batch counts as a part of the pause after it.
        """
        for arm in self.chosen.arms:
            yield from self._arm(arm)
            if self.reason != "done":
                return

    def rate(self) -> int:
        """Rows a second so far, pauses included."""
        return int(self.rows / max(self.ctx.monotonic() - self._began, 1e-3))

    def _arm(self, arm):
        since, before = None, None
        while self._may_go_on():
            asked = self._most(LISTED)
            rows = self._oldest(arm, since, asked)
            if not rows:
                return
            ids = [row["id"] for row in rows]
            if len(ids) == asked and max(ids) - min(ids) < SPARSE * asked:
                deleted = yield from self._range(min(ids))
                since = None
            else:
                batch = self._delete("id IN (:ids)", len(ids), ids=ids)
                deleted, since = batch.rows, rows[-1]["age"]
                yield batch
            if not deleted and ids == before:
                self.reason = "stuck"           # found again, and again none of them would go
                return
            before = ids
            if len(ids) < asked and deleted:
                return

    def _range(self, start: int):
        """Ranges of the primary key from `start` on, as long as they are worth it. How many rows went."""
        deleted = 0
        while self._may_go_on():
            width = self._most(self.pace.rows)
            batch = self._delete("id BETWEEN :low AND :high", width, low=start, high=start + width - 1)
            start, deleted = start + width, deleted + batch.rows
            yield batch
            if batch.rows * SPARSE < width:
                break
        return deleted

    def _oldest(self, arm, since, most: int) -> list[dict]:
        """The next rows by the arm's time index. Those before `since` are gone: to pass them over takes time too."""
        later = f" AND {arm.age} >= :since" if since is not None else ""
        return self.db.query(f"SELECT id, {arm.age} AS age FROM {self.table} WHERE {arm.sql}{later}"
                             f" ORDER BY {arm.age} LIMIT :most", **self.chosen.values,
                             **({"since": since} if later else {}), most=most)

    def _delete(self, where: str, width: int, **values) -> Batch:
        where = f" FROM {self.table}{self.by_key} WHERE {where} AND {self.chosen.sql}"
        values.update(self.chosen.values)

        def work() -> Batch:
            names = [row["name"] for row in self.db.query(
                f"SELECT {self.files} AS name{where}{self.db.for_update}", **values)] if self.files else []
            return Batch(self.db.execute(f"DELETE{where}", **values), names)

        begin = self.ctx.monotonic()
        batch = self.db.batch(work)
        end = self.ctx.monotonic()
        self._rested = end + self.pace.after(width, end - begin)
        self.number, self.rows = self.number + 1, self.rows + batch.rows
        if self.db.dialect.after_batch:
            self.db.query(self.db.dialect.after_batch)
        return batch

    def _most(self, wanted: int) -> int:
        """At most so many rows now: the pace, and what `--limit` leaves."""
        wanted = min(wanted, self.pace.rows)
        return wanted if self.ctx.limit is None else min(wanted, self.ctx.limit - self.rows)

    def _may_go_on(self) -> bool:
        if self.ctx.limit is not None and self.rows >= self.ctx.limit:
            self.reason = "limit"
            return False
        self.ctx.sleep(self._rested - self.ctx.monotonic())
        self.reason = self.ctx.stop_reason or "done"
        return self.reason == "done"
