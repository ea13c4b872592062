"""Notifying owners of what is due, before or when something happens to what is theirs.

Which rows those are is asked as "due and not notified", never as "due today": however late a run
is, nobody is left out. One notice lists all rows of an owner, and they are marked in the
transaction that queues it: a kill between the two is not possible, and a second run finds nothing
left.
"""
from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID, words
from jobs_lib.errors import Invalid, JobsError
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import enqueue

PAGE = 500                # rows looked at together, to find the owners
SAMPLE_ROWS = 5

Reminder = namedtuple("Reminder", "kind table age columns due notified key values notice daily "
                      "wanted statuses most must_know",
                      defaults=(None, False, None, ("active",), 500, False))
Reminder.__doc__ = """One kind of notice about rows that have an owner.

kind      of the notice, and of its templates (kinds.py)
table     whose rows, with `user_id`
age       the column of times that orders them, with an index
columns   what the notice needs of a row
due       function of the Context -> (SQL, values): the rows that are due and not marked yet
notified  a tuple of the columns that take the time
key       function of (ctx, user_id, rows) -> dedupe key, which names the occurrence by its first
          row or by the day
values    function of (ctx, user, rows) -> what the templates show, besides `name`
notice    the column that takes the notice's id, or None
daily     the key names the day: rows that come later wait for tomorrow's notice
wanted    function of (ctx, row) -> whether it is to be listed, for what SQL cannot say; or None
statuses  of the owners that are notified
most      rows a notice lists; the others wait for the next
must_know rows of an owner without a usable address stay unmarked, for ever if need be; else they
          are marked all the same
"""


def remind(ctx, reminder: Reminder) -> None:
    """Queue the notices that are owed, one an owner, and count them as `notices`.

    None while the clock is in doubt: they announce what is to come, with its day.
    """
    if not ctx.may_expire():
        return
    sample: list[dict] = []
    before = ctx.counts.get("notices", 0)
    ctx.count("notices", 0)
    for user_id in owed(ctx, reminder):
        if ctx.within_limit(1, ctx.counts["notices"] - before) == 0:
            if not ctx.dry_run:
                ctx.stop("limit")
            break
        with alone(ctx, user_id):
            listed = ctx.db.batch(partial(_remind_of_due, ctx, reminder, user_id))
            sample = sample or listed[:SAMPLE_ROWS]
        if not ctx.dry_run:
            ctx.sleep(ctx.db.dialect.batches.pause)             # others write too
    due = ctx.counts["notices"] - before
    if ctx.dry_run and due:
        ctx.show(f"queue {counted(due, 'notice')}: {reminder.kind}", sample)


@contextmanager
def alone(ctx, user_id):
    """What goes wrong with one owner's rows stops no other owner's: a value that cannot be read is
    counted as `invalid`, and any other error is ours, which the run ends with."""
    try:
        yield
    except Invalid as error:
        ctx.count(INVALID)
        ctx.log.warning("owner left out", user_id=user_id, error=str(error))
    except JobsError:
        # of the database, the configuration, a safety stop: it is everybody's
        raise
    except Exception as error:          # noqa: BLE001  (whatever it is, the others are served)
        ctx.defect(error, f"user {words(user_id)}")


# Who

def owners(ctx, table: str, age: str, sql: str, values: dict, columns: tuple = (), wanted=None):
    """The owner of each row of `table` that `sql` names, once each, in the order of their oldest
    such row.

    The walk goes forward only, so rows that stay as they are stand in nobody's way. It ends when
    the run is to stop. A row whose `age` is not a valid time, such as '' or MySQL's 0000-00-00, is
    no one's.
    """
    seen: set = set()
    listed = ", ".join(dict.fromkeys(["id", "user_id", age, *columns]))
    for rows in ctx.db.pages(f"SELECT {listed} FROM {{{table}}} WHERE {age} >= :earliest AND {sql}",
                             key=(age, "id"), size=PAGE, **{**values, "earliest": clock.FIRST}):
        for row in rows:
            owner = ctx.db.key("users", row["user_id"])
            if owner not in seen and (wanted is None or wanted(ctx, row)):
                seen.add(owner)
                yield row["user_id"]
                if ctx.should_stop():
                    return
        if ctx.should_stop():
            return


def owed(ctx, reminder: Reminder):
    """The owners that are to be notified now, the longest due first."""
    sql, values = reminder.due(ctx)
    # A value, not EXISTS: that MariaDB would turn into a join, which begins with all users of this
    # status.
    status = f"(SELECT status FROM {{users}} WHERE {{users}}.id = {{{reminder.table}}}.user_id)"
    return owners(ctx, reminder.table, reminder.age, f"{sql} AND {status} IN (:statuses)",
                  {**values, "statuses": list(reminder.statuses)}, reminder.columns,
                  reminder.wanted)


# Of what

def _due(ctx, reminder: Reminder, user_id: int) -> list[dict]:
    """The rows that this owner is to be notified of now, oldest first. In a transaction they are
    locked."""
    sql, values = reminder.due(ctx)
    listed = ", ".join(dict.fromkeys(["id", reminder.age, *reminder.columns]))
    found: list[dict] = []
    age = reminder.age
    # Bare, the condition would make SQLite take its index and read the due rows of all owners for
    # each of them.
    of_them = f"user_id = :user_id AND CASE WHEN {age} >= :earliest AND {sql} THEN 1 ELSE 0 END = 1"
    for rows in ctx.db.pages(f"SELECT {listed} FROM {{{reminder.table}}} WHERE {of_them}",
                             key=(age, "id"), size=reminder.most, end=ctx.db.for_update,
                             **{**values, "earliest": clock.FIRST}, user_id=user_id):
        timed = [row for row in rows if clock.parse_any(row[age])]
        if len(timed) < len(rows):
            ctx.count(INVALID, len(rows) - len(timed))
            ctx.log.warning("rows left out", table=reminder.table, number=len(rows) - len(timed),
                            user_id=user_id, error=f"{age} is not a valid time")
        found += [row for row in timed if reminder.wanted is None or reminder.wanted(ctx, row)]
        if len(found) >= reminder.most:
            break
    return found[:reminder.most]


def remind_owner(ctx, reminder: Reminder, user_id: int, rows: list[dict]) -> list[dict]:
    """Queue one notice about these rows and mark them, in the caller's transaction; a dry run
    changes nothing. The rows that it lists, [] if there is none.

    Rows that a notice was named by are left out and marked, whatever they say themselves. An owner
    without a usable address is never notified; the log says so, and the rows are marked unless
    `must_know`.
    """
    user = ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id", id=user_id)
    if user is None or user["status"] not in reminder.statuses:
        return []
    # the same in the notice and in the rows, so that they can be matched
    now = ctx.clock()
    while rows:
        key = enqueue.dedupe_key(reminder.key(ctx, user_id, rows))
        before = ctx.db.row("SELECT id FROM {notifications} WHERE dedupe_key = :key", key=key)
        if before is None:
            break
        if reminder.daily:
            return []
        _mark(ctx, reminder, rows[:1], before["id"], now)
        rows = rows[1:]
    if not rows:
        return []
    notice = enqueue.notify(ctx, user, reminder.kind, key, reminder.values(ctx, user, rows), now)
    if notice is None:
        if not reminder.must_know:
            _mark(ctx, reminder, rows, None, now)
        return []
    _mark(ctx, reminder, rows, notice, now)
    ctx.count("notices")
    return rows


def _remind_of_due(ctx, reminder: Reminder, user_id: int) -> list[dict]:
    return remind_owner(ctx, reminder, user_id, _due(ctx, reminder, user_id))


def _mark(ctx, reminder: Reminder, rows: list[dict], notice_id: int | None, now) -> None:
    values = dict.fromkeys(reminder.notified, now)
    if reminder.notice:
        values[reminder.notice] = notice_id
    if values and not ctx.dry_run:
        changes = ", ".join(f"{column} = :{column}" for column in values)
        ctx.db.execute(f"UPDATE {{{reminder.table}}} SET {changes} WHERE id IN (:ids)",
                       ids=[row["id"] for row in rows], **values)
