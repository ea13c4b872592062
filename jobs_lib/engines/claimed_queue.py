"""A queue whose rows are claimed by runs (queue.py), as an operator sees it: forwards, notices,
webhook deliveries."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.database import stored
from jobs_lib.database.values import keys_in, one_line, words

from .rows import has_status
from .work_queue import (
    ASKED_AT_ONCE,
    DUE,
    FAILED,
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
    since_rule,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .due_rows import DueRows, Queue

# of what the engine needs of each row
ENGINE = ("id", "user_id", "status", "attempts", "next_attempt_at", "last_attempt_at", "last_error",
          "created_at", "finished_at", "uncertain", "claim_run")
PAGE, PAGES = 500, 20           # rows that are looked at when only some since a time are wanted
MOST_PER_DAY = 100 * 24 * 60    # rows that are sent again, where no limit says less
FINISHED = ("failed", "sent", "delivered")
CANCELLED, CANCELLED_BY = "cancelled", "cancelled: "
UNKNOWN = "no run takes it, and none deletes it: this status is unknown"
DEFERRED = "the others go first, since it was lost in flight"


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

    def engine(self, ctx) -> Queue:
        """The queue as the engine sees it, under the options of its job."""
        raise NotImplementedError

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
        return self.engine(ctx).lifetime

    def ended(self) -> str:
        """As `cancel` does it."""
        notified = "".join(f", {column} = :now" for column in self.notified)
        return ("status = 'failed', finished_at = :now, next_attempt_at = NULL, last_error = :why, "
                f"claim_token = NULL, claim_run = NULL, lease_until = NULL{notified}")

    def count_put_off(self, ctx, most: int) -> int:
        """How many that are sent again are not due yet, `most` at most: a row that was never tried
        has no other reason to be scheduled."""
        rows, number = self._due_rows(ctx), 0
        for priority in rows.priorities():
            rule, values = rows.of(priority)
            number += count(ctx.db, self.table, f"status = 'pending'{rule} "
                            "AND next_attempt_at > :now AND attempts = 0", most, now=ctx.now,
                            **values)
        return min(number, most)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Why it cannot be sent again, or None."""
        raise NotImplementedError

    def _due_rows(self, ctx) -> DueRows:
        """Loaded only where rows wait."""
        from .due_rows import DueRows
        return DueRows(ctx, self.engine(ctx))

    # For `status`

    def backlog(self, ctx, most: int) -> tuple:
        """`most` of each state are counted."""
        unfinished = sum(count(ctx.db, self.table, has_status(status), most)
                         for status in ("pending", "sending"))
        if not unfinished:
            return 0, 0, None
        return min(unfinished, most), *self._due_rows(ctx).oldest_due(most)

    # For `queue`

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """What waits by when it is due, the longest due first; else the newest first."""
        ids = self._ids(ctx, wanted)
        found = {row["id"]: row for some in chunked(ids, ASKED_AT_ONCE) for row in ctx.db.query(
            f"SELECT {self._columns()} FROM {{{self.table}}} WHERE id IN (:ids)", ids=some)}
        return [found[id] for id in ids if id in found]

    def _columns(self) -> str:
        return ", ".join(dict.fromkeys((*ENGINE, *self.reads)))

    def _ids(self, ctx, wanted: Wanted) -> list[int]:
        if wanted.owners is not None and wanted.state not in (DUE, WAITING):
            return self._of_owners(ctx, wanted)
        if wanted.state == FAILED:
            return self._failed(ctx, wanted)
        if wanted.owners is None and wanted.since is not None:
            return self._since(ctx, wanted)
        return self._waiting(ctx, wanted)

    def failed_pages(self, ctx, size: int, *, owners=None, since=None, endpoint=None):
        """The ids of all that has failed, in lists: of some owners, that came in since then, or for
        an endpoint of webhooks."""
        rule, values = since_rule(Wanted(None, owners, since), self.added)
        values = {**values, "owners": owners, "endpoint": endpoint}
        failed, keys, (first, *_) = "status = 'failed'", (*self.age, "id"), self.age
        if endpoint is not None:
            theirs = "" if owners is None else " AND user_id IN (:owners)"
            ways = [(f"webhook_id = :endpoint AND {failed}{theirs}", ("id",))]
        elif owners is not None:
            ways = [(f"{_theirs(owners)} AND +{failed}", ("id",))]
            values["owner"] = owners[0]
        elif first == self.added:
            ways = [(failed, keys)]
        else:
            reached = f" AND {first} >= :came_in" if rule else f" AND {first} IS NOT NULL"
            # and those whose end an app has not noted
            ways = [(failed + reached, keys), (f"{failed} AND {first} IS NULL", keys[1:])]
        for where, key in ways:
            for rows in ctx.db.pages(f"SELECT {', '.join(key)} FROM {{{self.table}}} "
                                     f"WHERE {where}{rule}", key=key, size=size, **values):
                yield _ids_of(rows)

    def _of_owners(self, ctx, wanted: Wanted) -> list[int]:
        """By the owner's index, which has the rows in the order of their ids."""
        rule, values = since_rule(wanted, self.added)
        if wanted.state == FAILED:
            rule += " AND +status = 'failed'"
        return _ids_of(ctx.db.query(
            f"SELECT id FROM {{{self.table}}} WHERE {_theirs(wanted.owners)}{rule} "
            "ORDER BY id DESC LIMIT :most", owners=wanted.owners, most=wanted.limit,
            owner=wanted.owners[0], **values))

    def _failed(self, ctx, wanted: Wanted) -> list[int]:
        rule, values = since_rule(wanted, self.added)
        if rule and self.age[0] != self.added:
            rule += f" AND {self.age[0]} >= :came_in"       # it failed later than it came in
        order = ", ".join(f"{column} DESC" for column in (*self.age, "id"))
        return _ids_of(ctx.db.query(
            f"SELECT id FROM {{{self.table}}} WHERE status = 'failed'{rule} ORDER BY {order} "
            "LIMIT :most", most=wanted.limit, **values))

    def _waiting(self, ctx, wanted: Wanted) -> list[int]:
        """What is not finished: what is being sent, what is due, what is not yet due."""
        rows = self._due_rows(ctx)
        rule, values = since_rule(wanted, self.added)
        if wanted.owners is not None:
            rule = f" AND {_theirs(wanted.owners)}{rule}"
            values = {**values, "owners": wanted.owners, "owner": wanted.owners[0]}
        ids: list[int] = []
        if wanted.state is None:
            ids += _ids_of(ctx.db.query(
                f"SELECT id FROM {{{self.table}}} WHERE status = 'sending'{rule} "
                "ORDER BY id LIMIT :most", most=wanted.limit, **values))
        due = (*rows.kinds(), rows.uncertain_kind(), *rows.ahead_kinds())
        later = rows.later_kinds(self.later_at_first(ctx, rows.queue))
        parts = {None: ((due, ""), (later, "")), DUE: ((due, rows.owner_may),),
                 WAITING: ((later, ""), (due, rows.owner_suspended))}[wanted.state]
        for kinds, owner in parts:
            if len(ids) < wanted.limit:
                ids += self._of_kinds(rows, kinds, wanted.limit, rule + owner, values)
        if wanted.state is None and wanted.owners is None and len(ids) < wanted.limit:
            from .rows import of_unknown_status
            ids += of_unknown_status(ctx.db, self.table, self._statuses())
        return list(dict.fromkeys(ids))[:wanted.limit]      # an invalid row may be of two kinds

    def _statuses(self) -> tuple:
        return ("pending", "sending", *self.done, *self.failed)

    def _of_kinds(self, rows: DueRows, kinds: tuple, most: int, rule: str,
                  values: dict) -> list[int]:
        """Pending rows of these kinds, claimed ones too, the longest due first."""
        found: list[dict] = []
        for priority in rows.priorities():
            of, more = rows.of(priority)
            for kind in kinds:
                found += rows.db.query(
                    "SELECT id, next_attempt_at AS scheduled, created_at AS created "
                    f"FROM {{{self.table}}} WHERE status = 'pending'{of}{rule} AND {kind.rule} "
                    f"ORDER BY {kind.order} LIMIT :most", most=most,
                    **{**kind.values, **values, **more})
        found = sorted(map(rows.dated, found), key=lambda row: (row["due"], row["id"]))
        return _ids_of(found)

    def _since(self, ctx, wanted: Wanted) -> list[int]:
        """What is not finished and came in since then, the newest first, by the index of ages: in
        it `finished_at` is NULL, where that comes before. Of those in one state at most the newest
        PAGES * PAGE rows are looked at."""
        empty = "".join(f" AND {column} IS NULL" for column in self.age if column != self.added)
        size = PAGE if wanted.state else wanted.limit
        found: list[tuple] = []
        for status in ("pending",) if wanted.state else ("sending", "pending"):
            behind = ""
            last: dict = {}
            for _ in range(PAGES):
                rows = ctx.db.query(
                    f"SELECT {self._columns()} FROM {{{self.table}}} "
                    f"WHERE status = :status{empty} "
                    f"AND {self.added} >= :since{behind} ORDER BY {self.added} DESC, id DESC "
                    "LIMIT :most", status=status, since=wanted.since, most=size, **last)
                states = {item.id: item.state for item in self.describe(ctx, rows)
                          } if wanted.state else {}
                found += [(str(row[self.added]), row["id"]) for row in rows
                          if not states or states[row["id"]] == wanted.state]
                if not states or len(rows) < size or len(found) >= wanted.limit:
                    break
                behind = (f" AND {self.added} <= :before AND ({self.added} < :before "
                          "OR id < :last)")
                last = {"before": rows[-1][self.added], "last": rows[-1]["id"]}
        return [id for _, id in sorted(found, reverse=True)][:wanted.limit]

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words. A row that holds nonsense is described all the same."""
        return [item for some in chunked(rows, ASKED_AT_ONCE)
                for item in self._describe(ctx, some)]

    def _describe(self, ctx, rows: list[dict]) -> list[Item]:
        from .attempts import LONGEST_ANSWER
        from .due_rows import TRY_AGAIN
        from .rows import invalid
        rows = [dict(row) for row in rows]
        kept = [dict(row) for row in rows]
        wrong = invalid(ctx.db, self.table, rows)
        valid = [row for row in rows if row["id"] not in wrong]
        pending = [row for row in valid if row["status"] == "pending"]
        cancelled = self.reasons_to_cancel(ctx, pending) if pending else {}
        waits = self.reasons_to_wait(ctx, pending) if pending else {}
        owners = owners_in(ctx.db, pending)
        engine = self.engine(ctx)
        items = []
        for row, bare in zip(rows, kept):
            if row["id"] in wrong:
                items.append(self._invalid(bare, len(engine.delays), wrong[row["id"]]))
                continue
            next_at = self.next_at(ctx, engine, row) if row["status"] == "pending" else None
            state, why = self._state(ctx, engine, row, next_at), ""
            if row["status"] == "pending" and owners.get(row["user_id"]) == "suspended":
                state, next_at, why = WAITING, None, "its owner is suspended"
            elif row["id"] in cancelled:
                why = f"the next run of {self.job} cancels it: {cancelled[row['id']]}"
            elif row["status"] not in self._statuses():
                why = UNKNOWN
            elif row["id"] in waits:
                why = waits[row["id"]]
            elif row["uncertain"] == TRY_AGAIN and row["status"] == "pending":
                why = DEFERRED
            items.append(Item(row["id"], row["user_id"], self.to(row), state, row["attempts"],
                              len(engine.delays), stored.time(row[self.added]), next_at, why,
                              one_line(row["last_error"] or "", LONGEST_ANSWER)))
        return items

    def _invalid(self, row: dict, most: int, reason: str) -> Item:
        from .attempts import LONGEST_ANSWER
        over = row["status"] not in ("pending", "sending")
        return Item(row["id"], row["user_id"], one_line(words(self.to(row))),
                    one_line(words(row["status"])) if over else INVALID, row["attempts"], most,
                    stored.time(row[self.added]), None,
                    f"the next run of {self.job} ends it: {reason}" if not over else
                    "" if row["status"] in self._statuses() else UNKNOWN,
                    one_line(row["last_error"] or "", LONGEST_ANSWER))

    def _state(self, ctx, engine: Queue, row: dict, next_at) -> str:
        status = row["status"]
        if status == "pending":
            return WAITING if next_at and next_at > ctx.now else DUE
        if status == "sending":
            return SENDING
        if status == "failed" and is_cancelled(row):
            return CANCELLED
        return one_line(status)

    def next_at(self, ctx, engine: Queue, row: dict):
        """When a pending row is due. One that lies further ahead than any schedule leads to is due
        now: the clock was wrong."""
        when = clock.parse_any(row["next_attempt_at"]) or self.first_at(engine, row)
        from .due_rows import DueRows
        horizon = DueRows(ctx, engine).horizon()
        return ctx.now if when is None or when > horizon else when

    def later_at_first(self, ctx, engine: Queue) -> tuple[str, dict]:
        """(SQL, values): rows without `next_attempt_at` that are not due yet."""
        return "1 = 0", {}

    def first_at(self, engine: Queue, row: dict):
        """When a row without `next_attempt_at` is due."""
        created = clock.parse_any(row["created_at"])
        return created and clock.plus(created, engine.delays[0])

    # For `show`

    def kept(self, ctx, row: dict) -> Kept:
        """By its purge, once it is finished."""
        if row["status"] not in self._statuses():
            return Kept(None, "", "until somebody deletes it or changes its status")
        if row["status"] not in FINISHED:
            return Kept(None, "", "as long as it is in the queue")
        return purged(ctx, row, self.purge, *self.age)


def is_cancelled(row: dict) -> bool:
    """Whether it was ended without an attempt, by a job or by hand."""
    return words(row.get("last_error")).startswith(CANCELLED_BY)


def _theirs(owners: list[int]) -> str:
    """The condition for their rows. Those of one lie in the index in the order of their ids."""
    return "user_id = :owner" if len(owners) == 1 else "user_id IN (:owners)"


def all_unfinished(db, table: str) -> int:
    """How many rows are, each of them counted: one status at a time, so that an index alone
    answers, a million rows in some 100 ms."""
    return sum(db.value(f"SELECT COUNT(*) AS number FROM {{{table}}} WHERE status = :status",
                        status=status) for status in ("pending", "sending"))


def _ids_of(rows: list[dict]) -> list[int]:
    return keys_in(row["id"] for row in rows)
