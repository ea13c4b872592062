"""A queue whose rows are claimed by runs (queue.py), as an operator sees it: forwards, notices,
webhook deliveries."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.values import chunked, one_line, words

from . import due as dues
from .rows import has_status
from .work_queue import (
    ASKED_AT_ONCE,
    DUE,
    INVALID,
    SENDING,
    WAITING,
    Item,
    Kept,
    Wanted,
    WorkQueue,
    count,
    owners_in,
    purged,
)

# of what the engine needs of each row
ENGINE = ("id", "user_id", "status", "attempts", "next_attempt_at", "last_attempt_at", "last_error",
          "created_at", "finished_at", "uncertain", "claim_run")
MOST_PER_DAY = 100 * 24 * 60    # rows that are sent again, where no limit says less
FINISHED = ("failed", "sent", "delivered")
CANCELLED, CANCELLED_BY = "cancelled", "cancelled: "
UNKNOWN = "no run takes it, and none deletes it: this status is unknown"


class ClaimedQueue(WorkQueue):
    """What is common to the three.

    age        columns behind `status` in the index of finished rows, which they are listed by
    purge      the job that deletes them, by the first of these columns that has a time
    needs      SQL: what `why_lost` needs of a row
    reset      SQL: what else starts over when it is sent again
    """

    age: tuple = ("created_at",)
    purge = ""
    needs = "1 AS whole"
    reset = ""

    def to(self, row: dict) -> str:
        """To whom or to what it is sent."""
        raise NotImplementedError

    def reasons_to_cancel(self, ctx, rows: list[dict]) -> dict:
        """{row id: why the job's next run can only cancel it}."""
        return {}

    def reasons_to_wait(self, ctx, rows: list[dict]) -> dict:
        """{row id: why it waits although it is due}, besides what holds for every queue."""
        return {}

    def per_day(self, ctx) -> int:
        """How many that are sent again may be due in a day: new ones have room beside them."""
        return MOST_PER_DAY

    def lifetime(self, ctx):
        """As the engine has it."""
        from .queue import LIFETIME
        return LIFETIME

    def ended(self) -> str:
        """As `cancel` does it."""
        notified = "".join(f", {column} = :now" for column in self.notified)
        return ("status = 'failed', finished_at = :now, next_attempt_at = NULL, last_error = :why, "
                f"claim_run = NULL{notified}")

    def count_put_off(self, ctx, most: int) -> int:
        """How many that are sent again are not due yet, `most` at most: a row that was never tried
        has no other reason to be scheduled."""
        return count(ctx.db, self.table, "status = 'pending' AND next_attempt_at > :now "
                     "AND COALESCE(attempts, 0) = 0", most, now=ctx.now)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Why it cannot be sent again, or None."""
        raise NotImplementedError

    # For `status`

    def backlog(self, ctx, most: int) -> tuple:
        """`most` of each state are counted."""
        unfinished = sum(count(ctx.db, self.table, has_status(status), most)
                         for status in ("pending", "sending"))
        if not unfinished:
            return 0, 0, None
        return min(unfinished, most), *self.due(ctx).backlog(most)

    # For `queue`

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """What waits by when it is due, the longest due first; else the newest first."""
        from .claimed_search import Search
        ids = Search(self, ctx, wanted).ids()
        found = {row["id"]: row for some in chunked(ids, ASKED_AT_ONCE) for row in ctx.db.query(
            f"SELECT {self.columns()} FROM {{{self.table}}} WHERE id IN (:ids)", ids=some)}
        return [found[id] for id in ids if id in found]

    def columns(self) -> str:
        """What is read of each row."""
        return ", ".join(dict.fromkeys((*ENGINE, *self.reads)))

    def failed_pages(self, ctx, size: int, **which):
        """Pages of ids of failed rows; arguments as in claimed_search.failed_pages."""
        from .claimed_search import failed_pages
        return failed_pages(self, ctx, size, **which)

    def statuses(self) -> tuple:
        """All that jobs know."""
        return ("pending", "sending", *self.done, *self.failed)

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words. A row that holds nonsense is described all the same."""
        return [item for some in chunked(rows, ASKED_AT_ONCE)
                for item in self._describe(ctx, some)]

    def _describe(self, ctx, rows: list[dict]) -> list[Item]:
        from .attempts import LONGEST_ANSWER
        from .rows import invalid
        rows = [dict(row) for row in rows]
        kept = [dict(row) for row in rows]
        wrong = invalid(ctx.db, self.table, rows)
        valid = [row for row in rows if row["id"] not in wrong]
        pending = [row for row in valid if row["status"] == "pending"]
        cancelled = self.reasons_to_cancel(ctx, pending) if pending else {}
        waits = self.reasons_to_wait(ctx, pending) if pending else {}
        owners = owners_in(ctx.db, pending)
        delays = self.queue.delays(ctx.options)
        items = []
        for row, bare in zip(rows, kept):
            if row["id"] in wrong:
                items.append(self._invalid(bare, len(delays), wrong[row["id"]]))
                continue
            next_at = self.next_at(ctx, row) if row["status"] == "pending" else None
            state, why = self._state(ctx, row, next_at), ""
            if row["status"] == "pending" and owners.get(row["user_id"]) == "suspended":
                state, next_at, why = WAITING, None, "its owner is suspended"
            elif row["id"] in cancelled:
                why = f"the next run of {self.job} cancels it: {cancelled[row['id']]}"
            elif row["status"] not in self.statuses():
                why = UNKNOWN
            elif state == SENDING and not row["claim_run"]:
                why = "by your app: no run has claimed it"
            elif row["id"] in waits:
                why = waits[row["id"]]
            items.append(Item(row["id"], row["user_id"], self.to(row), state, row["attempts"],
                              len(delays), stored.time(row[self.added]), next_at, why,
                              one_line(row["last_error"] or "", LONGEST_ANSWER)))
        return items

    def _invalid(self, row: dict, most: int, reason: str) -> Item:
        from .attempts import LONGEST_ANSWER
        over = row["status"] not in ("pending", "sending")
        return Item(row["id"], row["user_id"], one_line(words(self.to(row))),
                    one_line(words(row["status"])) if over else INVALID, row["attempts"], most,
                    stored.time(row[self.added]), None,
                    f"the next run of {self.job} ends it: {reason}" if not over else
                    "" if row["status"] in self.statuses() else UNKNOWN,
                    one_line(row["last_error"] or "", LONGEST_ANSWER))

    def _state(self, ctx, row: dict, next_at) -> str:
        status = row["status"]
        if status == "pending":
            return WAITING if next_at and next_at > ctx.now else DUE
        if status == "sending":
            return SENDING
        if status == "failed" and is_cancelled(row):
            return CANCELLED
        return one_line(status)

    def next_at(self, ctx, row: dict):
        """When a pending row is due."""
        queue, delays = self.queue, self.queue.delays(ctx.options)
        when = clock.parse_any(row["next_attempt_at"])
        if row["next_attempt_at"] is None and queue.counted_from:
            start = clock.parse_any(row[queue.counted_from])
            wait = delays[min(row["attempts"], len(delays) - 1) if queue.by_attempts else 0]
            when = clock.plus(start, wait) if start and start <= ctx.now else None
        is_tried = not queue.dated or row["attempts"] or row["last_attempt_at"]
        if when is None or (is_tried and when > dues.horizon(ctx.now, delays)):
            return ctx.now              # the clock was wrong
        return when

    # For `queue QUEUE ID`

    def kept(self, ctx, row: dict) -> Kept:
        """By its purge, once it is finished."""
        if row["status"] not in self.statuses():
            return Kept(None, "", "until somebody deletes it or changes its status")
        if row["status"] not in FINISHED:
            return Kept(None, "", "as long as it is in the queue")
        return purged(ctx, row, self.purge, *self.age)


def is_cancelled(row: dict) -> bool:
    """Whether it was ended without an attempt, by a job or by hand."""
    return words(row.get("last_error")).startswith(CANCELLED_BY)


class MailQueue(ClaimedQueue):
    """A queue whose items leave by the relay, under its limits: forwards and notices."""

    def per_day(self, ctx) -> int:
        """Half of what the relay's limits allow."""
        from .limits import WINDOWS  # not needed to see whether anything waits
        mail, day = ctx.section("mail"), WINDOWS[-1][1]
        return min([super().per_day(ctx),
                    *(max(1, limit * (day // span) // 2) for name, span in WINDOWS
                      if (limit := getattr(mail, f"per_{name}")) is not None)])

    def other(self, ctx):
        """What is due in the other queue of mail, where it is worked off."""
        raise NotImplementedError

    def holds(self, ctx) -> list[str]:
        """The relay, too."""
        from . import limits, relay
        mail, found = ctx.section("mail"), super().holds(ctx)
        if paused := relay.paused(ctx.db, ctx.now):
            found.append(f"The relay is paused {paused}.")
        room, why = limits.Limits(ctx, self.queue.kind, self.other(ctx)).left(urgent=False)
        if room <= 0:
            found.append(f"{why}.")
        if limits.failures_full(ctx.db, mail, ctx.now):
            found.append(f"[mail] failures_per_hour = {mail.failures_per_hour} is reached: "
                         "what has failed before waits.")
        return found
