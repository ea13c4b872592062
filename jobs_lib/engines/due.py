"""Which rows of a queue are due: the one answer that the run, the dry run, the check whether
anything is to do, `status`, `queue` and the alerts ask for alike; and which of them hold what they
may.

A pending row is due when its time has come. A run gives a time to rows that have none or an
impossible one (queue.py); who only looks sees these by the same rules. Rows of suspended and of
deleted owners wait, and are due nowhere.

The app writes these rows, or somebody by hand, and SQLite stores whatever it is given: text where a
number belongs, an attempt of -100, a time of year 0. Rows are judged once, where they are read.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

LONGEST_ASKED = timedelta(days=1)       # another server may ask for such a wait
CLOCKS_DIFFER = timedelta(hours=1)      # between hosts, at most
NEVER = "9999-12-31 00:00:00"           # what is later is no time
LONGEST_SCHEDULE = timedelta(days=36_500)       # to be added to a time, at most
MOST_ATTEMPTS = 1_000_000               # more were never made
LARGEST = {"id": 2 ** 63, "ref": 2 ** 63, "big": 2 ** 63, "int": 2 ** 31, "flag": 2 ** 7}
SHORT_TEXTS = ("word", "hash", "label", "path", "address", "name", "line")

# SQL: the run that has a row is at work `:now`, by its own word and the runner's sweep. Never by
# what was read as its run, since octets that are no text are read as something else.
IN_HAND = ("claim_run IN (SELECT run_id FROM {job_runs} WHERE status = 'running' "
           "AND lease_until >= :now)")

Queue = namedtuple("Queue",
                   "name kind table job done delays columns by_attempts dated priority code error"
                   " when_done when_over waits works others time added tried missing"
                   " unwanted after_deletion",
                   defaults=((), False, False, False, "last_code", "last_error", lambda now: {},
                             lambda now: {}, "pending", "sending", (), "next_attempt_at",
                             "created_at", "last_attempt_at", (), (), "0 = 1"))
Queue.__doc__ = """A queue as data (features/queues.py).

name, kind    on the command line; of its attempts      table, job   its rows; who works it off
done          the status of success                     waits, works the statuses before it; where
              a run only looks at a row, `works` is "", and `waits` are all
others        statuses of rows that are over, besides `done` and `failed`
time          the column for when it is due    added, tried  when it came in, was last tried
delays        (options of the job): timedeltas before attempt 1, 2, ...
columns       what its feature needs of a row, besides its times and what counts attempts
by_attempts   a row without a time is due so long after it was last tried as the next delay says;
              else, after it came in, as the first one does
dated         whether an app may give a time to a row that was never tried
priority      whether there is that column: 0 is urgent
code, error   columns for what the other side said, or ""
when_done     (time): {column: value} that success stores; `when_over`: that `end` does
missing       ((why nobody waits for a row, SQL of such rows), ...): its owner, alias or endpoint
              is missing; the guard counts these
unwanted      the same, of rows that are nobody's mistake
after_deletion  SQL of rows that are taken of a deleted owner, too
"""


class Due:
    """The rows of a queue that are due. `untimed`: ((SQL of rows without a time that is one, SQL
    for their time), ...), each served by an index; `values` are bound in them. `also`: SQL of those
    that are looked at at all. `when`: SQL, the time of any row that waits."""

    def __init__(self, db, queue: Queue, untimed: tuple, values: dict, also: str = "") -> None:
        self.db, self.queue, self.untimed, self.values = db, queue, untimed, values
        self.timed = f"{queue.time} <= :now"
        cases = "".join(f"WHEN {rule} THEN {time} " for rule, time in untimed)
        self.when = f"CASE {cases}ELSE {queue.time} END"
        self._rows = f"FROM {{{queue.table}}} WHERE {pending(queue)}{also} AND NOT {stopped(queue)}"

    def any(self) -> bool:
        """Whether there is one that a run would send or end."""
        return self._count(1)["number"] > 0

    def backlog(self, most: int) -> tuple[int, str | None]:
        """(how many there are, since when the earliest is due), of `most` that are looked at. What
        is about somebody who is missing is ended by a run, or waits as many do."""
        found = self._count(most, f" AND NOT ({lacks(self.queue)})")
        return min(found["number"], most), found["since"] and str(found["since"])

    def ids(self, most: int) -> list:
        """Of some of them."""
        return [row["id"] for row in self.db.query(self._union(), most=most, **self.values)][:most]

    def _count(self, most: int, also: str = "") -> dict:
        return self.db.row(
            # a time that is none, such as 0000-00-00, hides no other
            "SELECT COUNT(*) AS number, MIN(CASE WHEN due >= :earliest THEN due END) AS since "
            f"FROM ({self._union(also)}) found", earliest=clock.FIRST, most=most, **self.values)

    def _union(self, also: str = "") -> str:
        """Of the rows that each rule finds, `:most` of each: a search for each rule. The longest
        due first, where an index has them so: to sort a million times that are calculated takes
        seconds, so of these any are looked at."""
        time = self.queue.time
        parts: list[str] = []
        for rule, when in ((self.timed, time), *self.untimed):
            is_due = "" if when in (time, ":now") else f" AND {when} <= :now"
            order = f" ORDER BY {time}" if when == time else ""
            parts.append(
                f"SELECT id, due FROM (SELECT id, {when} AS due {self._rows} AND {rule}{is_due}"
                f"{also}{order} LIMIT :most) part_{len(parts)}")
        return " UNION ALL ".join(parts)


def due(ctx, queue: Queue) -> Due:
    """What a run now would take of the queue. `ctx` needs `db`, `now` and `options`."""
    delays = queue.delays(ctx.options)
    return Due(ctx.db, queue, (("next_attempt_at IS NULL", no_time(ctx.db, queue, delays)),
                               (impossible_time(queue), ":now")), bounds(ctx.now, delays))


def is_idle(db, table: str, *statuses: str) -> bool:
    """Whether no row has one of these statuses. By one statement, before anything is loaded that
    works, since most runs end here."""
    return not db.query(" UNION ALL ".join(
        f"SELECT id FROM (SELECT id FROM {{{table}}} WHERE {has_status(status)} LIMIT 1) "
        f"of_{status}" for status in statuses))


# Rows as they are read

def invalid(db, table: str, rows: list[dict]) -> dict:
    """{row id: what is wrong with it}. Corrects in the rows what can be: short text that was stored
    as octets or as a number becomes text, an invalid time becomes NULL where the column may be
    NULL, and NULL becomes the column's default if it has one, except in `status`. So NULL counts as
    0 attempts, or as the empty sender."""
    from jobs_lib.database.schema import tables  # an idle run judges no row
    columns = {column.name: column for column in tables.table(table).columns}
    return {row["id"]: reason for row in rows
            if (reason := _reason(columns, row, bool(db.text_keys)))}


def _reason(columns: dict, row: dict, has_text_keys: bool) -> str:
    """Why a row cannot be worked on, or ""; its values are corrected. A column that is not of the
    schema is the app's own, of a `SELECT *`."""
    for column in (columns[name] for name in row if name in columns):
        name, value, kind = column.name, row[column.name], column.type
        if has_text_keys and kind in ("id", "ref") and type(value) in (str, bytes):
            kind = "label"
        if value is None:
            if not column.null and (not isinstance(column.default, (int, str))
                                    or kind == "word"):
                return f"its {name} is missing"
            row[name] = None if column.null else column.default
        elif kind in LARGEST:
            largest = LARGEST[kind]
            if type(value) is not int:
                return f"its {name} is not a whole number"
            if not (0 <= value <= MOST_ATTEMPTS if name == "attempts"
                    else -largest <= value < largest):
                return f"its {name} is out of range"
        elif kind in ("time", "now"):
            try:
                clock.parse(value) + LONGEST_SCHEDULE
            except (ValueError, TypeError, OverflowError):
                if not column.null:
                    return f"its {name} is not a valid time"
                row[name] = None        # a schedule that is none: it is due now
        elif kind in SHORT_TEXTS:
            try:
                row[name] = value.decode() if isinstance(value, bytes) else str(value)
            except UnicodeDecodeError:
                return f"its {name} is not text"
    return ""


# SQL

def has_status(status: str) -> str:
    """A status that few rows have. As a range, since SQLite reads the whole table for an equal sign
    where its statistics know one status alone; and as BETWEEN, since MariaDB takes an index over an
    ENUM for no other range."""
    return f"status BETWEEN '{status}' AND '{status}'"


def pending(queue: Queue) -> str:
    """A row that waits."""
    if isinstance(queue.waits, str):
        return f"status = '{queue.waits}'"
    return f"+status IN {queue.waits}"      # `+`: by the index of times alone


def stopped(queue: Queue) -> str:
    """The owner of a row is suspended or deleted, so that it waits where it is."""
    return (f"EXISTS (SELECT 1 FROM {{users}} WHERE {{users}}.id = {{{queue.table}}}.user_id AND "
            "({users}.status = 'suspended' OR ({users}.status = 'deleted' "
            f"AND NOT ({queue.after_deletion}))))")


def lacks(queue: Queue) -> str:
    """What a row is about is missing."""
    return " OR ".join(rule for _, rule in queue.missing) or "0 = 1"


def unneeded(queue: Queue) -> str:
    """In words why nobody waits for a row any more, or NULL."""
    cases = "".join(f"WHEN {rule} THEN '{why}' "
                    for why, rule in (*queue.missing, *queue.unwanted))
    return f"CASE {cases}END" if cases else "NULL"


def bounds(now, delays: tuple) -> dict:
    """The times that the rules below are bound to. `horizon`: the latest that a schedule, or
    another server, leads to."""
    horizon = now + max(*delays, LONGEST_ASKED) + CLOCKS_DIFFER
    return {"now": clock.text(now), "never": NEVER, "horizon": clock.text(horizon)}


def no_time(db, queue: Queue, delays: tuple) -> str:
    """When a row without a time is due: if it was never tried, since it came in. A time to count
    from that is unreadable or in the future gives now."""
    other = (no_time(db, queue._replace(by_attempts=False), delays)
             if queue.by_attempts else ":now")
    column, delays = (queue.tried, delays) if queue.by_attempts else (queue.added, delays[:1])
    *first, last = [db.dialect.later(column, int(delay.total_seconds())) for delay in delays]
    cases = "".join(f"WHEN {number} THEN {time} " for number, time in enumerate(first))
    when = f"CASE attempts {cases}ELSE {last} END" if first else last
    return f"CASE WHEN {column} <= :now THEN COALESCE({when}, :now) ELSE {other} END"


def impossible_time(queue: Queue) -> str:
    """A time that no schedule leads to, since a clock was wrong, or that is none: SQLite stores any
    text. The time that an app gave to a row that was never tried stays."""
    tried = (" AND (attempts > 0 OR last_attempt_at IS NOT NULL OR next_attempt_at > :never)"
             if queue.dated else "")
    return f"next_attempt_at > :horizon{tried}"
