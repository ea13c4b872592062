"""Notifying owners of what is due, before or after something happens to what is theirs.

Which rows those are is asked as "due and not notified", never as "due today": however late a run
is, nobody is left out. One notice lists all rows of an owner, and they are marked in the
transaction that queues it: a second run finds nothing left.
"""
from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from jobs_lib import clock
from jobs_lib.database.stored import INVALID, chunked
from jobs_lib.engines.purge import SAMPLE_ROWS
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple
from jobs_lib.text import counted, words

from . import KINDS, notices

PAGE = 500                # rows looked at together, to find the owners, and marked together
MOST = 2000               # rows that one notice lists: the others wait for the next

Reminder = namedtuple("Reminder", "kind table age columns due marks key values lists failing skip",
                      defaults=((), None, None, None, None, None))
Reminder.__doc__ = """One kind of notice about rows that have an owner.

kind       of the notice, and of its templates (KINDS)
table      whose rows, with `user_id`
age        the column that orders them, with an index: a time, or `id`
columns    what the notice needs of a row
due        function of (ctx, *given) -> (SQL, values): the rows that are due and not marked yet
marks      the columns that take the time of the notice, or, as `warning_id`, its id
key        dedupe key, with columns of a row and `{day}` to be filled in: of the first row it names
           the notice, and a row whose own key was used is listed no more
values     function of (ctx, user, rows, *given) -> what the templates show, besides `name` and
           `count`
lists      of a warning, SQL: a row that it still concerns is listed by a row of `notifications`
failing    the column with an address that failed: another is notified, if there is one
skip       function of (ctx, rows) -> whether nobody has to hear of them; it marks them
"""


def remind(ctx, reminder: Reminder, *given) -> None:
    """Queue the notices that are owed, one an owner, the longest due first. `given`: to `due` and
    to `values`."""
    if reminder.lists and not ctx.dry_run:
        notices.follow_up_refused(ctx, reminder.kind, reminder.table, reminder.lists)
    sample: list[dict] = []
    before = ctx.counts.get("notices", 0)
    ctx.count("notices", 0)
    sql, values = reminder.due(ctx, *given)
    # A value, not EXISTS: that MariaDB would turn into a join, which begins with all users of this
    # status.
    status = f"(SELECT status FROM {{users}} WHERE {{users}}.id = {{{reminder.table}}}.user_id)"
    for user_id in owners(ctx, reminder.table, reminder.age, f"{sql} AND {status} IN (:statuses)",
                          {**values, "statuses": _statuses(reminder)}):
        # one is notified also where the run has stopped: at a limit of the relay each run does
        if ctx.within_limit(1, ctx.counts["notices"] - before) == 0:
            ctx.stop("limit")
            break
        with alone(ctx, user_id):
            listed = ctx.db.batch(partial(_remind_of_due, ctx, reminder, user_id, given))
            sample += listed[:SAMPLE_ROWS - len(sample)]
        if not ctx.dry_run:
            ctx.sleep(ctx.db.dialect.batches.pause)  # others write too
    number = ctx.counts["notices"] - before
    if ctx.dry_run and number:
        for row in sample:
            row.pop("last_error", None)  # another server's words may hold anything
        ctx.show(f"queue {counted(number, 'notice')}: {reminder.kind}", sample)


@contextmanager
def alone(ctx, id, what: str = "user"):
    """What goes wrong with one owner's rows stops no other owner's: a value that cannot be read is
    counted as `invalid`, and any other error is ours, which the run ends with."""
    try:
        yield
    except clock.Invalid as error:
        ctx.count(INVALID)
        ctx.log.warning("left out", item=f"{what} {words(id)}", error=str(error))
    except JobsError:
        # of the database, the configuration, the guard: it is everybody's
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, the others are served)
        ctx.defect(error, f"{what} {words(id)}")


def owners(ctx, table: str, age: str, sql: str, values: dict):
    """The owner of each row of `table` that `sql` names, once each, in the order of their oldest
    such row. It ends when the run is to stop. It goes forward only, so rows that stay as they are
    keep no others waiting."""
    seen: set = set()
    for rows in ctx.db.pages(f"SELECT id, user_id, {age} FROM {{{table}}} WHERE {sql}",
                             key=tuple(dict.fromkeys([age, "id"])), size=PAGE, **values):
        for row in rows:
            if row["user_id"] not in seen:
                seen.add(row["user_id"])
                yield row["user_id"]
            if ctx.should_stop():
                return


def _statuses(reminder: Reminder) -> list[str]:
    """Of the owners that are notified. A suspended one is to find what matters, later."""
    return ["active"] if KINDS[reminder.kind].optional else ["active", "suspended"]


def _remind_of_due(ctx, reminder: Reminder, user_id, given: tuple) -> list[dict]:
    """Remind one owner of the rows that are due now, oldest first, locked."""
    sql, values = reminder.due(ctx, *given)
    columns = ", ".join(("id", "user_id", reminder.age, *reminder.columns))
    # Bare, the condition would make SQLite take its index and read the due rows of all owners for
    # each of them.
    found = ctx.db.query(
        f"SELECT {columns} FROM {{{reminder.table}}} WHERE user_id = :user_id AND CASE WHEN {sql} "
        f"THEN 1 ELSE 0 END = 1 ORDER BY {reminder.age}, id LIMIT :most{ctx.db.for_update}",
        **values, user_id=user_id, most=MOST)
    rows = [row for row in found if reminder.age == "id" or clock.parse_any(row[reminder.age])]
    if len(rows) < len(found):
        ctx.count(INVALID, len(found) - len(rows))
        ctx.log.warning("rows left out", table=reminder.table, user_id=user_id,
                        error=f"{reminder.age} is not a valid time")
    return remind_owner(ctx, reminder, user_id, rows, *given)


def remind_owner(ctx, reminder: Reminder, user_id, rows: list[dict], *given) -> list[dict]:
    """Queue one notice about these rows and mark them, in the caller's transaction; a dry run
    changes nothing. The rows that it lists, [] if there is none."""
    user = ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id", id=user_id)
    if user is None or user["status"] not in _statuses(reminder):
        return []

    def key(row: dict) -> str:
        return notices.dedupe_key(reminder.key.format(**row, day=ctx.now.date()))

    used = {
        row["dedupe_key"]
        for some in chunked(list({key(row) for row in rows}), PAGE)
        for row in ctx.db.query(
            "SELECT dedupe_key FROM {notifications} WHERE dedupe_key IN (:keys)",
            keys=some)}
    rows = [row for row in rows if key(row) not in used]
    if not rows or (reminder.skip and reminder.skip(ctx, rows)):
        return []
    user["email"] = _address(ctx, reminder, user, rows)
    # the same in the notice and in the rows, so that they can be matched
    now = ctx.clock()
    values = {"count": len(rows), "many": len(rows) > 1, **reminder.values(ctx, user, rows, *given)}
    notice = notices.notify(ctx, user, reminder.kind, key(rows[0]), values, now)
    marks = {name: notice if name.endswith("_id") else now for name in reminder.marks}
    changes = ", ".join(f"{column} = :{column}" for column in marks)
    for some in chunked(rows, PAGE) if marks and not ctx.dry_run else ():
        ctx.db.execute(f"UPDATE {{{reminder.table}}} SET {changes} WHERE id IN (:ids)",
                       ids=[row["id"] for row in some], **marks)
    ctx.count("notices")
    return rows


def _address(ctx, reminder: Reminder, user: dict, rows: list[dict]):
    """Of the account, but where mail to that has just failed, of a verified destination."""
    failing = {words(row[reminder.failing]).lower() for row in rows} if reminder.failing else ()
    if words(user["email"]).lower() not in failing:
        return user["email"]
    known = notices.addresses(ctx.db, user["id"], user["email"])
    return next((known[each] for each in known if each not in failing), user["email"])
