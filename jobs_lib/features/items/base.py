"""A queue as its operator sees it, and acts on it: which rows there are, each in words; rows that
are put back as if they had never been tried, or ended.

How a queue differs from the others stands beside it (__init__.py). What is due is asked of
engines/due.py, as a run does.
"""
from __future__ import annotations

from functools import cached_property, partial

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.stored import chunked, keys_in
from jobs_lib.engines import attempts, guard
from jobs_lib.engines.due import Due, Queue, due, has_status, invalid, stopped, unneeded
from jobs_lib.text import COUNTED, one_line, words

CANCELLED_BY = "cancelled: "
STOPPED = "the owner is suspended or deleted"
HELD = "stopped by the guard (`jobs.py status`)"
BY_HAND = f"{CANCELLED_BY}by the operator"
NO_ROW = "there is no such row (it may have been purged)"
AT_ONCE = 500                   # rows of a page
READ_AT_ONCE = 5_000            # by one statement


class Items:
    """One queue, in the place of a run's Context for what only looks. Rows are dicts.

    queue, what  as data; all of it, in `status`
    unfinished   the statuses of rows that a run will still work on
    done         what its job counts as done; "": `status` does not show it
    owner        the column with the id of its user
    to           to whom it is sent, or what it is about, by its columns
    reads        SQL: what else is read of a row: `, this, that`
    moments      ((column, what happened then), ...), first: it came in
    purge, age   which job deletes finished rows, and from when on: by the first of these columns
                 that has a time
    reset        columns that are emptied when a row is put back
    tries        the column that counts attempts
    """

    queue: Queue
    what, done, purge, to, owner, tries = "", "", "", "", "user_id", "attempts"
    unfinished: tuple = ("sending", "pending")
    reads = ""
    moments: tuple = (("created_at", "came in"), ("finished_at", "ended"))
    age: tuple = ("created_at",)
    reset: tuple = ()
    options = property(lambda self: self.options_of(self.queue.job))  # or ConfigError

    def __init__(self, db, config, now) -> None:
        self.db, self.config, self.now = db, config, now
        self.section, self.options_of = config.section, config.job_named
        self.clock = lambda: now

    # What differs

    def due(self) -> Due:
        """What a run now would take."""
        return due(self, self.queue)

    def lost(self, row: dict) -> str:
        """Why a row cannot be sent again, or ""."""
        return "" if row["whole"] else "the content was deleted"

    def named(self, word: str):
        """The id of the row that has this name, or None."""

    # Which rows

    def count(self, status: str, most: int = COUNTED) -> int:
        """How many rows have that status, of `most` that are counted."""
        some = f"FROM {{{self.queue.table}}} WHERE {has_status(status)} LIMIT :most"
        return self.db.value(f"SELECT COUNT(*) FROM (SELECT 1 AS one {some}) found", most=most)

    def backlog(self, most: int) -> tuple:
        """(rows that are not finished, those of them that are due, since when the oldest is), of
        `most` that are counted."""
        number = sum(self.count(status, most) for status in self.unfinished)
        return (min(number, most), *self.due().backlog(most)) if number else (0, 0, None)

    def select(self, failed: bool, wanted: dict, most: int) -> list:
        """The ids of rows to be listed, `most` at most: what has failed, or all of an owner, the
        newest first; else what is not finished, by the time of its next attempt."""
        found, order, statuses = [], self.queue.time, self.unfinished
        if failed or "owners" in wanted:
            order, statuses = "+id DESC", ("failed",) if failed else ("",)
        for status in statuses:
            sql = self._sql(status, wanted)
            found += self.db.query(f"{sql} ORDER BY {order} LIMIT :most", most=most, **wanted)
        return keys_in(row["id"] for row in found[:most])

    def pages(self, status: str, wanted: dict):
        """The ids of all that are wanted of a status, in lists."""
        # `+`: in the order of the ids, not by an index of statuses
        for page in self.db.pages(self._sql(status, wanted, "+"), size=AT_ONCE, **wanted):
            yield keys_in(row["id"] for row in page)

    def _sql(self, status: str, wanted: dict, by: str = "") -> str:
        """The SELECT of the ids of a status, or of any. `wanted`: the filters that were given, of
        {"owners": ids, "since": time, "before": time}."""
        added, by = self.queue.added, "+" if "owners" in wanted else by
        rules = {"owners": f"{self.owner} IN (:owners)", "since": f"{added} >= :since",
                 "before": f"{added} < :before"}
        found = [f"{by}status = '{status}'"] if status else []
        found += [rules[name] for name in wanted]
        return f"SELECT id FROM {{{self.queue.table}}} WHERE {' AND '.join(found)}"

    # One row in words

    def read(self, ids: list, columns: str = "", lock: str = "") -> dict:
        """{id: row} of those that are there, in the order of the ids: these `columns`, or what is
        needed to describe, put back or end a row."""
        queue, due_now = self.queue, self.due()
        counted = f", attempts, claim_run, {queue.error}" if queue.works else ""
        columns = columns or f"id, user_id, status, {queue.added}{counted}{self.reads}"
        sql = (f"SELECT {columns}, {due_now.when} AS due_at, {stopped(queue)} AS is_stopped, "
               f"{unneeded(queue)} AS unneeded "
               f"FROM {{{queue.table}}} WHERE id IN (:ids){lock}")
        found = {row["id"]: row for some in chunked(ids, READ_AT_ONCE)
                 for row in self.db.query(sql, ids=some, **due_now.values)}
        return {id: found[id] for id in ids if id in found}

    def describe(self, found):
        """Rows as `--json` prints them, also those that hold nonsense.

        `state`: `due`, `waiting`, `held`, `invalid`, `cancelled`, else the status; `attempts` made,
        of `most`; `since` when it is there, `next_at` when it is tried next; `why` it waits, and
        the last `answer`.
        """
        from jobs_lib.text import masking  # a run that only counts does without
        queue, checked = self.queue, [dict(row) for row in found]
        most = len(queue.delays(self.options)) if queue.works else None
        wrong = invalid(self.db, queue.table, checked)
        for row in checked:
            state, next_at, why = self.judge(row, wrong.get(row["id"]))
            item = {"id": row["id"], "owner": row["user_id"], "to": self.to.format_map(row),
                    "state": state, "attempts": row.get(self.tries), "most": most,
                    "since": stored.time(row[queue.added]), "next_at": next_at, "why": why,
                    "answer": self.answer(row)}
            for name, value in item.items():            # whatever the app has written
                if isinstance(value, (str, bytes)):
                    # cut last: half an address is not recognized
                    item[name] = one_line(masking.text(words(value)), attempts.LONGEST_ANSWER)
            for name in ("since", "next_at"):
                item[name] = item[name] and clock.text(item[name])
            yield item

    def answer(self, row: dict):
        """What the other side said last."""
        return row.get(self.queue.error) or ""

    def judge(self, row: dict, wrong: str | None) -> tuple:
        """(`state`, `next_at`, `why`) as `describe` has them; `wrong`: what is invalid in it."""
        queue, state = self.queue, one_line(row["status"])
        next_at, why = None, ""
        if wrong and state in self.unfinished:
            state, why = "invalid", f"the next run of {queue.job} ends it: {wrong}"
        elif state == queue.waits and row["is_stopped"]:
            state, why = "waiting", STOPPED
        elif state == queue.waits:
            next_at = clock.parse_any(row["due_at"]) or self.now
            state = "waiting" if next_at > self.now else "due"
            if guard.QUEUED in self.held and row["unneeded"] in [why for why, _ in queue.missing]:
                state, next_at, why = "held", None, f"{HELD}: {row['unneeded']}"
            elif row["unneeded"]:
                why = f"the next run of {queue.job} cancels it: {row['unneeded']}"
            elif "raw_path" in row and (lost := self.lost(row)):
                why = f"it cannot be sent: {lost}"
        elif state == queue.works:
            why = "a run is working on it" if row["claim_run"] else (
                "by your app: no run has claimed it")
        elif state not in (queue.done, "failed", *queue.others):
            why = "unknown status: no run sends or deletes it"
        elif words(row[queue.error]).startswith(CANCELLED_BY):
            state = "cancelled"
        return state, next_at, why

    @cached_property
    def held(self) -> dict:
        """{kind: guard.Held} of what the guard holds back of its job."""
        return {each.name: each for each in guard.reported(self.db.value(
            "SELECT last_options FROM {job_state} WHERE job = :job", job=self.queue.job))}

    def holds(self) -> list[str]:
        """Sentences: what holds up the queue as a whole."""
        found, name = [], self.queue.job
        if paused := self.db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name):
            found.append(f"{name} has been paused since {paused} UTC: `jobs.py resume {name}`.")
        if not self.options.enabled:
            found.append(f"{name} is switched off: [{name}] enabled = no.")
        return found


# By hand

def replay(items: Items, pages, failed_only: bool) -> tuple[list, dict]:
    """Put rows back as if they had never been tried, also those that wait or were sent, unless
    `failed_only`. (The ids of those that were, {id: why it was not})."""
    queue = items.queue
    emptied = (queue.error, queue.code, "claim_run", "last_attempt_at", *items.reset)
    values = {"attempts": 0, "uncertain": 0, "next_attempt_at": items.now, "finished_at": None,
              **dict.fromkeys(emptied)}

    def refused(found: list[dict]) -> dict:
        wrong = invalid(items.db, queue.table, found)       # it corrects what can be
        return {**{row["id"]: why for row in found if (why := _why_not(items, row, failed_only))},
                **wrong}
    return _change(items, pages, refused, queue.waits, values, attempts.REPLAYED)


def _why_not(items: Items, row: dict, failed_only: bool) -> str:
    others = () if failed_only else (items.queue.done, items.queue.waits)
    if row["status"] not in ("failed", *others):
        return f"not failed, the status is {row['status']}"
    if failed_only and row[items.queue.error] == BY_HAND:
        return "cancelled by you: name its id to replay it"
    if row["is_stopped"]:
        return STOPPED
    # the next run would only cancel what nobody waits for
    return items.lost(row) or row["unneeded"] or ""


def cancel(items: Items, pages) -> tuple[list, dict]:
    """End rows that wait, without an attempt; the same. A run that has taken such a row finds it
    over before it begins. Its text stays, so that it can be put back."""
    queue, over = items.queue, items.queue.when_over(items.now)
    values = {**{name: value for name, value in over.items() if value}, "finished_at": items.now,
              "next_attempt_at": None, queue.error: BY_HAND}

    def refused(found: list[dict]) -> dict:
        return {row["id"]: "being sent: the result will be stored"
                if row["status"] == queue.works else f"no longer waiting ({row['status']})"
                for row in found if row["status"] != queue.waits}
    return _change(items, pages, refused, "failed", values, attempts.CANCELLED)


def _change(items: Items, pages, refused, status: str, values: dict, act: str) -> tuple[list, dict]:
    """A page is one commit: after a kill the same again does the rest."""
    changes = "".join(f", {name} = :{name}" for name in values)

    def work(ids: list) -> dict:
        found = items.read(ids, lock=items.db.for_update)
        why = refused([*found.values()])
        reasons = {id: why.get(id, NO_ROW) for id in ids if id in why or id not in found}
        if good := [id for id in ids if id not in reasons]:
            items.db.execute(f"UPDATE {{{items.queue.table}}} SET status = '{status}'{changes} "
                             "WHERE id IN (:ids)", ids=good, **values)
            attempts.record_act(items.db, items.queue, good, items.now, act)
        return reasons

    done: list = []
    why_not: dict = {}
    for ids in pages:
        why_not.update(reasons := items.db.batch(partial(work, ids)))
        done += [id for id in ids if id not in reasons]
    return done, why_not
