"""A queue as its operator sees it: which rows there are, and each in words.

How a queue differs from the others is declared in features/items/. What is due is asked of due.py,
as a run does. Nothing here writes; what is done to rows by hand is in replay.py.
"""
from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.values import chunked, keys_in, one_line, words
from jobs_lib.records import namedtuple

from . import attempts, rows
from .due import Due, Queue, due, has_status

DUE, WAITING, SENDING, INVALID, CANCELLED = "due", "waiting", "being sent", "invalid", "cancelled"
CANCELLED_BY = "cancelled: "
UNKNOWN = "no run takes it, and none deletes it: this status is unknown"
AT_ONCE = 500                   # rows of a page
UNKNOWN_SHOWN = 1000            # rows of an unknown status
PACE = timedelta(minutes=1) / 100

Wanted = namedtuple("Wanted", "failed owners since before", defaults=(False, None, None, None))
Wanted.__doc__ = """Which rows are meant, of `queue`, `replay` and `cancel` alike: what
`failed`, is of these `owners` (ids), came in `since` then or later, or `before` it. None: any."""
Item = namedtuple("Item", "id owner to state attempts most since next_at why answer")
Item.__doc__ = """One row in words. Times are aware UTC, or None.

id, owner  of its row; of its user, or None         to       to whom, or what it is about
state      a word: `due`, `waiting`, `failed`, ...  attempts made so far; most: of so many, or None
since      when it came in                          next_at  when it is tried next
why        what it waits for, or ""                 answer   what the other side said last, or ""
"""
Kept = namedtuple("Kept", "until option rule")
Kept.__doc__ = """How long a row stays: `until` then (None: while it is as it is), by this `option`,
(section, name) or None, and the `rule` in words."""


def view(db, config, now, options) -> SimpleNamespace:
    """What a queue is looked at with: a run's Context has the same names. `options`: its job's."""
    def secret(label: str) -> bytes:
        from jobs_lib.folders import secret_key
        from jobs_lib.runner.context import derived
        core = config.section("core")
        return derived(secret_key(core.state_dir, core.secret_key, make=False), label)
    return SimpleNamespace(db=db, config=config, now=now, options=options, section=config.section,
                           clock=lambda: now, options_of=config.job_named, secret=secret)


class Items:
    """One queue. Rows are dicts, `ctx` is a view.

    queue        as data                                what    all of it, in `status`
    done, failed counts of its job                      reads   columns that are read of a row
    needs        SQL: what `why_lost` reads besides
    age, purge   the columns by whose first time a finished row is deleted, and by which job
    moments      ((column, what happened then, or a function of the row that says so), ...), the
                 first of them: it came in
    notified     columns that say that nobody has to be notified: set when it is cancelled
    reset        columns that are emptied when it is put back
    owner        the column with the id of its user
    """

    queue: Queue
    what, purge, owner = "", "", "user_id"
    done: tuple = ()
    failed: tuple = ("failed",)
    reads: tuple = ()
    needs: tuple = ()
    age: tuple = ("created_at",)
    moments: tuple = ()
    notified: tuple = ()
    reset: tuple = ()

    # What differs

    def due(self, ctx) -> Due:
        """What a run now would take."""
        return due(ctx, self.queue)

    def to(self, row: dict) -> str:
        """To whom or to what it is sent."""
        raise NotImplementedError

    def reasons(self, ctx, waits: list[dict]) -> dict:
        """{row id: why it waits although it is due}."""
        return {}

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """{row id: why the job's next run can only cancel it}."""
        return {}

    def why_lost(self, ctx, row: dict) -> str | None:
        """Why a row cannot be sent again, or None."""

    def pace(self, ctx) -> timedelta:
        """How far apart many rows are due that are sent again, so that new ones have room."""
        return PACE

    def find(self, ctx, word: str):
        """The id of the item that is called so, besides its id; None if there is none."""

    def kept(self, ctx, row: dict) -> Kept | None:
        """How long a row stays; None: as long as its purge says."""

    # Which rows

    def unfinished(self) -> tuple:
        """The statuses of rows that are not finished."""
        return tuple(filter(None, (self.queue.works, self.queue.waits)))

    def statuses(self) -> tuple:
        """All that jobs know."""
        return (*self.unfinished(), self.queue.done, "failed", *self.queue.others)

    def backlog(self, ctx, most: int) -> tuple:
        """(rows that are not finished, those of them that are due, since when the oldest is), of
        `most` that are counted."""
        number = sum(count(ctx.db, self.queue.table, has_status(status), most)
                     for status in self.unfinished())
        return (min(number, most), *self.due(ctx).backlog(most)) if number else (0, 0, None)

    def select(self, ctx, wanted: Wanted, most: int) -> list:
        """The ids of rows to be listed: of an owner all, else what has failed or is not finished,
        the newest first; without any filter what is not finished by the time of its next attempt,
        then what no run knows."""
        order = "+id DESC"
        if wanted == Wanted():
            order = self.queue.time
        statuses = ("failed",) if wanted.failed else ("",) if wanted.owners else self.unfinished()
        found = []
        for status in statuses:
            rule, values = self.rule(wanted, status)
            found += self.ids(ctx, f"{rule} ORDER BY {order}", most, **values)
        if wanted == Wanted() and self.queue.works:
            known = sorted(self.statuses())
            # by an index: a search before, between and behind the words that jobs know
            for rule in (f"status < '{known[0]}'", f"status > '{known[-1]}'", "status IS NULL", *(
                    f"status > '{one}' AND status < '{next}'"
                    for one, next in zip(known, known[1:]))):
                found += self.ids(ctx, rule, UNKNOWN_SHOWN)
        return found[:most]

    def ids(self, ctx, rule: str, most: int, **values) -> list:
        """Those of the first rows of a rule."""
        return keys_in(row["id"] for row in ctx.db.query(
            f"SELECT id FROM {{{self.queue.table}}} WHERE {rule} LIMIT :most", most=most, **values))

    def pages(self, ctx, wanted: Wanted, status: str):
        """The ids of all that are wanted of a status, in lists."""
        rule, values = self.rule(wanted, status, by="+")
        for page in ctx.db.pages(f"SELECT id FROM {{{self.queue.table}}} WHERE {rule}",
                                 size=AT_ONCE, **values):
            yield keys_in(row["id"] for row in page)

    def rule(self, wanted: Wanted, status: str, by: str = "") -> tuple[str, dict]:
        """(SQL, values): the rows that are wanted, of a status or of any. `by`: "+" where an index
        of statuses is of no use."""
        parts, values = [], {}
        if wanted.owners is not None:
            parts, values, by = [f"{self.owner} IN (:owners)"], {"owners": wanted.owners}, "+"
        if status:
            parts.append(f"{by}status = '{status}'")
        for name, sign in (("since", ">="), ("before", "<")):
            if moment := getattr(wanted, name):
                parts.append(f"{self.queue.added} {sign} :{name}")
                values[name] = moment
        return " AND ".join(parts), values

    # One row in words

    def read(self, ctx, ids: list, columns: str = "") -> list[dict]:
        """The rows with these ids, in this order: `columns`, or what `describe` needs."""
        queue, due_now = self.queue, self.due(ctx)
        names = columns or ", ".join(dict.fromkeys(filter(None, (
            "id", "user_id", "status", queue.added, *self.reads,
            *(("attempts", "claim_run", queue.error) if queue.works else ())))))
        found = {row["id"]: row for some in chunked(ids, rows.ASKED_AT_ONCE)
                 for row in ctx.db.query(f"SELECT {names}, {due_now.when} AS due_at, "
                                         f"{queue.after_deletion} AS to_deleted FROM "
                                         f"{{{queue.table}}} WHERE id IN (:ids)", ids=some,
                                         **due_now.values)}
        return [found[id] for id in ids if id in found]

    def row(self, ctx, id) -> dict | None:
        """All of one row."""
        return next(iter(self.read(ctx, [id], "*")), None)

    def describe(self, ctx, found: list[dict]) -> list[Item]:
        """Rows in words. One that holds nonsense is described all the same."""
        checked = [dict(row) for row in found]
        wrong = rows.invalid(ctx.db, self.queue.table, checked)
        waits = [row for row in checked
                 if row["status"] == self.queue.waits and row["id"] not in wrong]
        whys = self.reasons(ctx, waits) if waits else {}
        for id, why in (self.reasons_to_cancel(ctx, waits) if waits else {}).items():
            whys[id] = f"the next run of {self.queue.job} cancels it: {why}"
        owners = rows.owners_in(ctx.db, waits)
        held = {row["id"]: f"its owner is {status}" for row in waits
                if (status := owners.get(row["user_id"])) == "suspended"
                or (status == "deleted" and not row["to_deleted"])}
        return [self._item(ctx, row, wrong.get(row["id"], ""), held.get(row["id"], ""),
                           whys.get(row["id"], "")) for row in checked]

    def _item(self, ctx, row: dict, wrong: str, held: str, why: str) -> Item:
        queue, status, next_at = self.queue, words(row["status"]), None
        state = one_line(status)
        if wrong and status in self.unfinished():
            state, why = INVALID, f"the next run of {queue.job} ends it: {wrong}"
        elif held:
            state, why = WAITING, held
        elif status == queue.waits:
            next_at = clock.parse_any(row["due_at"]) or ctx.now
            state = WAITING if next_at > ctx.now else DUE
        elif status == "sending":
            state, why = SENDING, "" if row["claim_run"] else "by your app: no run has claimed it"
        elif status not in self.statuses():
            why = UNKNOWN
        elif status == "failed" and is_cancelled(row):
            state = CANCELLED
        return Item(row["id"], row["user_id"], one_line(words(self.to(row))), state,
                    row["attempts"], len(queue.delays(ctx.options)), stored.time(row[queue.added]),
                    next_at, why, one_line(row[queue.error] or "", attempts.LONGEST_ANSWER))

    def holds(self, ctx) -> list[str]:
        """Sentences: what holds up the queue as a whole."""
        found, name = [], self.queue.job
        if paused := ctx.db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name):
            found.append(f"{name} is paused since {paused} UTC: `jobs.py resume {name}`.")
        if not ctx.options.enabled:
            found.append(f"{name} is switched off: [{name}] enabled = no.")
        return found


def is_cancelled(row: dict) -> bool:
    """Whether it was ended without an attempt, by a job or by hand."""
    return words(row.get("last_error")).startswith(CANCELLED_BY)


def count(db, table: str, rule: str, most: int) -> int:
    """How many rows a rule has, `most` at most."""
    return db.value(f"SELECT COUNT(*) AS number FROM (SELECT 1 AS one FROM {{{table}}} "
                    f"WHERE {rule} LIMIT :most) found", most=most)
