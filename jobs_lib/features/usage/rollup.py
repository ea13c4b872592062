"""Usage of each user by day and week: which days are due, and one of them added up in one commit.

The table `rollup_days` holds what is due: the days of the last 48 hours, those of rows that came in
since the last run, those that an operator asks for, and those that `purge_message_logs` takes rows
from which no run has seen. A row goes with the commit that adds its day up, so a killed run loses
nothing and a long one goes on where it was.
"""
from __future__ import annotations

from datetime import date, timedelta
from functools import partial

from jobs_lib.database import stored
from jobs_lib.database.values import INVALID, is_size, size
from jobs_lib.engines.load import Load
from jobs_lib.engines.safety_stop import RetentionGuard
from jobs_lib.errors import Busy, JobsError
from jobs_lib.text import counted

OPEN = timedelta(hours=48)      # how long a day may change other than by new rows
# how long after a row with a higher id one with a lower id may be committed
SETTLES = timedelta(minutes=30)
SCANNED = 20_000                # ids looked at in one query
SHOWN = 5
DAY = timedelta(days=1)
# what is not between them is no day: its week has no end
EARLIEST, LATEST = "1000-01-01", "9999-12-27"
NUMBERS = ("email_count", "bytes_used")

# One statement reads both tables at one moment: a purge that moves rows from one to the other moves
# none away.
LOGGED = " FROM {message_logs} WHERE created_at >= :day AND created_at < :next_day"
DETAIL = ("SELECT user_id, email_count, bytes_used FROM {message_stats} WHERE day = :day UNION ALL"
          f" SELECT user_id, 1, {size('bytes_used')}{LOGGED}")
DAYS = ("SELECT user_id, email_count, bytes_used FROM {usage_daily} "
        "WHERE day >= :week_start AND day < :next_week")
LIVING = (" (SELECT 1 FROM {users} WHERE {users}.id = %s.user_id AND {users}.status <> 'deleted')")


def run(ctx) -> dict:
    """Add up the days that are due, newest first, and delete what is past its time. The counts."""
    ctx.counts.update(days=0, user_days=0, deleted=0)
    first, guard = _first(ctx), _guard(ctx)
    guard.confirm("usage_daily", lambda: _stale(ctx.db, "usage_daily", "day", first))
    try:
        for days, state in _found(ctx, first):
            _put_down(ctx.db, days, state)
        load = Load(ctx)
        _add_up_due(ctx, first, load)
        _delete_old(ctx, first, load)
    except Busy as error:               # the others come first; what is committed stays so
        ctx.stop_busy(error)
    if not (ctx.should_stop() or ctx.suspended):
        guard.store()
    return ctx.counts


def preview(ctx) -> dict:
    """Show which days a run would add up, with how many users each, and what it would delete. The
    counts."""
    from jobs_lib.engines.dry_run import show_deletion

    first = _first(ctx)
    days = {row["day"] for row in ctx.db.query("SELECT day FROM {rollup_days} "
                                               f"WHERE {_due(ctx.db)}", first=first, latest=LATEST)}
    for more, _ in _found(ctx, first):
        days.update(more)
    rows: list = []
    for day in sorted(days, reverse=True)[:ctx.limit]:
        if ctx.should_stop():
            break
        rows.append({"day": day, "users": ctx.db.value(
            f"SELECT COUNT(DISTINCT user_id) FROM ({DETAIL}) AS parts WHERE EXISTS"
            f"{LIVING % 'parts'}", day=day, next_day=_after(day))})
        _count_invalid(ctx, day)
    ctx.show(f"add up {counted(len(rows), 'day')}", rows[:SHOWN])
    old = {table: _stale(ctx.db, table, column, first) for table, column in TABLES.items()}
    unconfirmed = _guard(ctx).confirm("usage_daily", lambda: old["usage_daily"])
    for table, number in old.items():
        if number:
            show_deletion(ctx, table, number, [], unconfirmed)
    return {**ctx.counts, "days": len(rows), "user_days": sum(row["users"] for row in rows),
            "deleted": sum(old.values())}


def _guard(ctx) -> RetentionGuard:
    return RetentionGuard(ctx, {"keep": ctx.options.keep} if ctx.options.keep else {})


def mark_unseen(db, rows) -> None:
    """The days of those rows (batch_delete.Rows), about to be purged, which no run has seen, are
    due from now on."""
    seen = db.value("SELECT log_row FROM {rollup_state} WHERE id = 1")
    if seen is None:
        return                          # before the first run all days are due anyway
    values, seen, unseen = rows.values, stored.number(seen), " AND id > :unseen"
    if "message_logs" in db.text_keys:
        unseen = ""                     # of no row it is known
    elif max(values.get("ids") or [values["high"]]) <= seen:
        return
    for row in db.query(f"SELECT {db.dialect.day('created_at')} AS day{rows.source}{unseen} "
                        f"GROUP BY 1 ORDER BY 1{db.for_update}", **values, unseen=seen):
        if row["day"]:
            db.upsert("rollup_days", {"day": row["day"]})


# Which days are due

# deleted in this order: a week is whole, or deleted
TABLES = {"usage_weekly": "week_start", "usage_daily": "day"}


def _first(ctx) -> str:
    """The first day that is kept, a Monday. While the clock is in doubt each day is kept."""
    if ctx.options.keep is None or not ctx.may_expire():
        return EARLIEST
    return _monday((ctx.now - ctx.options.keep).date().isoformat())


def _found(ctx, first: str):
    """(days that are due, what `rollup_state` says once they are put down), until there is no
    more."""
    yield _asked(ctx, first), {}
    yield from _unseen(ctx, first)


def _asked(ctx, first: str) -> list[str]:
    """The days that are still open, and those that `--set from` and `to` ask for."""
    today, days = ctx.now.date(), _open_days(ctx)
    since, until = ctx.options.from_, min(ctx.options.to or today, today)
    if ctx.options.to and not since:
        raise JobsError(f"--set to={until}: from which day on? Add --set from=DAY")
    if since:
        if since > until:
            raise JobsError(f"--set from={since}: that is after the last day, {until}")
        if until.isoformat() < first:
            raise JobsError(f"--set to={until}: [rollup_usage] keep goes back to {first} only")
        before = LATEST if until.isoformat() >= LATEST else _after(until.isoformat())
        days.update(_days(ctx, max(first, since.isoformat()), before))
    return [day for day in days if day >= first]


def _open_days(ctx) -> set[str]:
    return {(ctx.now - age).date().isoformat() for age in (OPEN, DAY, timedelta(0))}


def _unseen(ctx, first: str):
    """The days of rows that came in since the last run; at first all days there are.

    A row gets its id before its commit, so one may turn up below those that were looked at.
    Therefore rows are looked at again until the log has been seen to end behind them for a while:
    `newest` is where it ended at `noted_at`.
    """
    db = ctx.db
    state = db.row("SELECT log_row, newest, noted_at FROM {rollup_state} WHERE id = 1")
    if "message_logs" in db.text_keys:
        yield from _since(ctx, first, stored.time(state["noted_at"]) if state else None)
        return
    last = db.value("SELECT MAX(id) FROM {message_logs}") or 0
    noted = {"newest": last, "noted_at": ctx.now}
    low, noted_at = (stored.number(state["log_row"], -1),
                     stored.time(state["noted_at"])) if state else (-1, None)
    if noted_at is None or not 0 <= low <= last:
        # first run; another log, or its end is missing; unreadable memory
        days = _days(ctx, first, LATEST)
        if not ctx.should_stop():               # else the next run has to look for all of them
            yield days, {"log_row": last, **noted}
        return
    settled = low
    if abs(ctx.now - noted_at) >= SETTLES:              # a clock may have been wrong, too
        settled = stored.number(state["newest"], low)
    else:
        noted = {}
    while low < last and not ctx.should_stop():
        high = min(low + SCANNED, last)
        rows = db.query(f"SELECT DISTINCT {db.dialect.day('created_at')} AS day "
                        "FROM {message_logs}"
                        f"{db.dialect.by_key} WHERE id > :low AND id <= :high", low=low, high=high)
        yield [row["day"] for row in rows if row["day"] and first <= row["day"] < LATEST], {
            "log_row": min(high, settled), **noted}
        low = high


def _since(ctx, first: str, noted_at):
    """The same where the log's keys are text, which do not say what is new: the days since the last
    run, by the rows' own times. A row that comes in later than OPEN is found when its day is
    purged (`mark_unseen`), or asked for."""
    noted = {"log_row": 0, "newest": 0, "noted_at": ctx.now}
    if noted_at is None:
        days = _days(ctx, first, LATEST)
    else:
        since = (min(noted_at, ctx.now) - OPEN).date().isoformat()
        days = list(_steps(ctx, "message_logs", "created_at", max(first, since), LATEST))
    if not ctx.should_stop():
        yield days, noted


def _days(ctx, since: str, before: str) -> list[str]:
    """All days of which anything is known, one step in an index for each.

    The log first: what is purged meanwhile is found in its totals.
    """
    places = (("message_logs", "created_at"), ("message_stats", "day"), ("usage_daily", "day"))
    return sorted({day for table, column in places for day in _steps(ctx, table, column, since,
                                                                     before)})


def _steps(ctx, table: str, column: str, since: str, before: str):
    """Each day in a column that an index begins with, in order."""
    sql = (f"SELECT {column} AS found, {ctx.db.dialect.day(column)} AS its_day FROM {{{table}}}"
           f" WHERE {column} >= :since AND {column} < :before ORDER BY {column} LIMIT 1")
    while not ctx.should_stop() and (row := ctx.db.row(sql, since=since, before=before)):
        since = _after(row["its_day"]) if row["its_day"] else ""
        if since > row["found"]:
            yield row["its_day"]
        else:
            # SQLite takes any text for a time: past all that begins like this
            since = row["found"][:10] + "~"


def _put_down(db, days, state: dict) -> None:
    """These days are due, and in the same commit: how far the log is known."""
    def work() -> None:
        # there from now on: what is purged is put down as well
        db.upsert("rollup_state", {"id": 1}, state)
        for day in sorted(days):
            db.upsert("rollup_days", {"day": day})
    db.batch(work)


# Adding up

def _add_up_due(ctx, first: str, load: Load) -> None:
    due, open_days = _due(ctx.db), _open_days(ctx)
    total = ctx.db.value(f"SELECT COUNT(*) FROM {{rollup_days}} WHERE {due}", first=first,
                         latest=LATEST)
    ctx.progress(0, total)
    while True:
        day = ctx.db.value(f"SELECT day FROM {{rollup_days}} WHERE {due} ORDER BY day DESC LIMIT 1",
                           first=first, latest=LATEST)
        if day is None or ctx.should_stop(ctx.counts["days"]):
            return
        users = _paced(ctx, partial(_add_up, ctx.db, day))
        if users is not None:
            ctx.count("days")
            ctx.count("user_days", users)
            _count_invalid(ctx, day)
        ctx.progress(ctx.counts["days"], max(total, ctx.counts["days"]))
        if day not in open_days:        # those come up in every run: it has to do another one, too
            load.wait()


def _due(db) -> str:
    """The condition for what is a day among those that are due."""
    return f"day >= :first AND day < :latest AND {db.dialect.day('day')} = day"


def _add_up(db, day: str) -> int | None:
    """Write the day of everybody, and its week. How many users it has; None if another run was
    faster."""
    week = _monday(day)
    # One after the other, since two days of one week would not see each other.
    db.value(f"SELECT log_row FROM {{rollup_state}} WHERE id = 1{db.for_update}")
    # Before its rows are read: a day that is marked after this read is due again.
    if not db.execute("DELETE FROM {rollup_days} WHERE day = :day", day=day):
        return None
    _write(db, "usage_daily", "day", DETAIL, day=day, next_day=_after(day))
    _write(db, "usage_weekly", "week_start", DAYS, week_start=week, next_week=_after(week, 7))
    return db.value("SELECT COUNT(*) FROM {usage_daily} WHERE day = :day", day=day)


def _count_invalid(ctx, day: str) -> None:
    """Messages of the day that count as 0 bytes, since what their rows say is no size, and those
    that count for it although their time is none: it lies between this day and the next."""
    good, right = is_size("bytes_used"), "SUBSTR(created_at, 1, 10) = :day"
    found = ctx.db.row(f"SELECT SUM(CASE WHEN {good} THEN 0 ELSE 1 END) AS sizes, SUM(CASE WHEN "
                       f"{right} OR NOT {good} THEN 0 ELSE 1 END) AS times{LOGGED}", day=day,
                       next_day=_after(day))
    for number, reason in ((found["sizes"], "their bytes_used is no size of a message"),
                           (found["times"], "their created_at is no time")):
        if number:
            ctx.count(INVALID, number)
            ctx.log.warning("invalid rows", table="message_logs", day=day, rows=number,
                            reason=reason)


def _write(db, table: str, column: str, detail: str, **values) -> None:
    """What the detail adds up to; rows without any become 0 and are deleted, and so are those of
    deleted users.

    InnoDB reads the users of this DELETE as they are now and locks them until the commit. So the
    deletion of an account, whose first step is its status, either finds these rows or makes us
    delete them.
    """
    db.insert_select_replacing(
        table, ("user_id", column), NUMBERS,
        f"SELECT user_id, :{column}, SUM(email_count), SUM(bytes_used) FROM ({detail} "
        f"UNION ALL SELECT user_id, 0, 0 FROM {{{table}}} WHERE {column} = :{column}) AS parts "
        "WHERE 1 = 1 GROUP BY user_id", **values)
    db.execute(f"DELETE FROM {{{table}}} WHERE {column} = :{column} AND (email_count = 0 "
               f"OR NOT EXISTS{LIVING % f'{{{table}}}'})", **values)


def _paced(ctx, work):
    """`work()` in one transaction, and then a pause in which others write."""
    began = ctx.monotonic()
    result = ctx.db.batch(work)
    ctx.sleep((ctx.monotonic() - began) * ctx.db.dialect.batches.share)
    return result


# What is past its time

def _stale(db, table: str, column: str, first: str) -> int:
    return db.value(f"SELECT COUNT(*) FROM {{{table}}} WHERE {column} < :first", first=first)


def _delete_old(ctx, first: str, load: Load) -> None:
    """Day by day, and no day that is past its time is due any more."""
    for table, column in TABLES.items():
        for day in _steps(ctx, table, column, EARLIEST, first):
            if ctx.should_stop():
                return
            delete = partial(ctx.db.execute, f"DELETE FROM {{{table}}} WHERE {column} >= :day "
                             f"AND {column} < :next_day", day=day, next_day=_after(day))
            ctx.count("deleted", _paced(ctx, delete))
            ctx.progress(ctx.counts["days"], deleted=ctx.counts["deleted"])
            load.wait()
    if not ctx.should_stop():
        ctx.db.execute("DELETE FROM {rollup_days} WHERE day < :first", first=first)


# Days as text, as the database holds them

def _after(day: str, days: int = 1) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _monday(day: str) -> str:
    return _after(day, -date.fromisoformat(day).weekday())
