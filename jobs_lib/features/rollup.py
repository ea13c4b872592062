"""Usage of each user by day and week: which days are due, and one of them added up in one commit.

One day is remembered, from which on all days are due. Each that is added up moves it on in the same
commit. A run that is through sets it to 48 hours ago: so long a day may change. Rows that come in
for an earlier day set it back, which is seen by their ids.
"""
from __future__ import annotations

from datetime import date, timedelta
from functools import partial

from jobs_lib.database import stored
from jobs_lib.database.stored import size
from jobs_lib.engines import guard
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

OPEN = timedelta(hours=48)  # how long a day may change other than by new rows
SHOWN = 5
# what is not between them is no day: its week has no end
EARLIEST, LATEST = "1000-01-01", "9999-12-27"
# deleted in this order: a week is whole, or deleted
TABLES = {"usage_weekly": "week_start", "usage_daily": "day"}

# One statement reads both tables at one moment: a purge that moves rows from one to the other moves
# none away.
DETAIL = ("SELECT user_id, email_count, bytes_used FROM {message_stats} WHERE day = :day UNION ALL "
          f"SELECT user_id, 1, {size('bytes_used')} FROM {{message_logs}} "
          "WHERE created_at >= :day AND created_at < :next_day")
DAYS = ("SELECT user_id, email_count, bytes_used FROM {usage_daily} "
        "WHERE day >= :week_start AND day < :next_week")

State = namedtuple("State", "day log_row")
State.__doc__ = "What is remembered: the first day that is due, and the last log row that was seen."


def run(ctx) -> dict:
    """Add up the days that are due, and delete what is past its time."""
    ctx.counts.update(days=0, deleted=0)
    first = _first(ctx)
    due = _due(ctx)  # before anything is locked: there may be many new rows
    ctx.db.batch(lambda: _remember(ctx.db, due._replace(
        day=min(due.day, _state(ctx.db, ctx.db.for_update).day))))
    while not ctx.should_stop(ctx.counts["days"]) and _paced(
            ctx, partial(_add_up_next, ctx, first)):
        ctx.count("days")
        ctx.progress(ctx.counts["days"])
    _delete_old(ctx, first)
    return ctx.counts


def preview(ctx) -> dict:
    """Show which days a run would add up, and what it would delete. The counts."""
    days: list[dict] = []
    first = _first(ctx)
    since = max(first, _due(ctx).day)
    while (len(days) != ctx.limit and not ctx.should_stop()
           and (day := _next_day(ctx.db, since))):
        days.append({"day": day})
        since = _after(day)
    ctx.show(f"add up {counted(len(days), 'day')}", days[:SHOWN])
    deleted = sum(_stale(ctx.db, table, first) for table in TABLES)
    if deleted:
        ctx.show(f"delete {counted(deleted, 'row')} of days before {first}", [])
    return {**ctx.counts, "days": len(days), "deleted": deleted}


# What is remembered

def _state(db, lock: str = "") -> State:
    """As it is stored; without it, or where it cannot be read, all days are due."""
    text = str(db.value(f"SELECT value FROM {{meta}} WHERE name = 'rollup'{lock}"))
    try:
        return State(date.fromisoformat(text[:10]).isoformat(), stored.number(text[10:]))
    except ValueError:
        return State(EARLIEST, 0)


def _remember(db, state: State) -> None:
    db.upsert("meta", {"name": "rollup"}, {"value": f"{state.day} {state.log_row}"})


def _due(ctx) -> State:
    """What is to be remembered as a run begins."""
    db, asked, last, came_in = ctx.db, ctx.options.from_, 0, None
    state = _state(db)
    if asked and asked > ctx.now.date():
        raise JobsError(f"--set from={asked}: that day has not begun")
    if "message_logs" not in db.text_keys:  # which do not say what is new
        last = db.value("SELECT MAX(id) FROM {message_logs}") or 0
        came_in = EARLIEST  # it is another log, or its last rows were deleted
        if last >= state.log_row and state.day > EARLIEST:
            # CASE: without statistics SQLite prefers the time index, all of it
            came_in = db.value(
                f"SELECT MIN({db.dialect.day('created_at')}) FROM {{message_logs}} WHERE id > "
                ":seen AND id <= :last AND CASE WHEN created_at >= :first THEN 1 ELSE 0 END = 1",
                seen=state.log_row, last=last, first=EARLIEST)
    days = (state.day, came_in, asked and asked.isoformat(), _open_since(ctx))
    return State(min(filter(None, days)), last)


def _open_since(ctx) -> str:
    return (ctx.now - OPEN).date().isoformat()


def mark_unseen(db, rows) -> None:
    """Of those rows, about to be purged, the days that no run has seen are due."""
    if "message_logs" in db.text_keys:
        return
    day = db.value(f"SELECT MIN({db.dialect.day('created_at')}){rows.source} AND id > :seen"
                   f"{db.for_update}", **rows.values, seen=_state(db).log_row)
    if day and day < (state := _state(db, db.for_update)).day:
        _remember(db, state._replace(day=day))


# Which days there are

def _first(ctx) -> str:
    """The first day that is kept, a Monday. While the clock is in doubt each day is kept."""
    def first(limits: dict) -> str:
        keep = limits["keep"]
        return _monday((ctx.now - keep).date().isoformat()) if keep else EARLIEST
    limits = guard.kept(ctx, "usage_daily", {"keep": ctx.options.keep},
                        lambda limits: _stale(ctx.db, "usage_daily", first(limits)))
    return first(limits) if ctx.may_expire() else EARLIEST


def _next_day(db, since: str) -> str | None:
    """The first day from that one on of which anything is known. The log is asked first: what is
    purged meanwhile is found in its totals."""
    found = [_first_day(db, table, column, since) for table, column in (
        ("message_logs", "created_at"), ("message_stats", "day"), ("usage_daily", "day"))]
    return min(filter(None, found), default=None)


def _first_day(db, table: str, column: str, since: str) -> str | None:
    """The same in a column that an index begins with. SQLite takes any text for a time: what names
    no day is passed over."""
    day = db.dialect.day(column)
    return db.value(f"SELECT {day} FROM {{{table}}} WHERE {column} >= :since AND {column} < :last "
                    f"AND {day} >= :since AND {day} < :last ORDER BY {column} LIMIT 1",
                    since=since, last=LATEST)


# Adding up

def _add_up_next(ctx, first: str) -> str | None:
    """Write the next day that is due, and its week. The day, or None."""
    db = ctx.db
    # What is remembered stays locked: two days of one week, one after the other. And it comes
    # before the day's rows are read: if one is purged after that, its day is due again.
    state = _state(db, db.for_update)
    day = _next_day(db, max(first, state.day))
    _remember(db, state._replace(day=_after(day) if day else _open_since(ctx)))
    if day:
        week = _monday(day)
        _write(db, "usage_daily", "day", DETAIL, day=day, next_day=_after(day))
        _write(db, "usage_weekly", "week_start", DAYS, week_start=week, next_week=_after(week, 7))
    return day


def _write(db, table: str, column: str, detail: str, **values) -> None:
    """What the detail adds up to; rows without any become 0 and are deleted, and so are those of
    users who are missing.

    InnoDB reads the users of this DELETE as they are now and locks them until the commit. So the
    end of an account's deletion, which locks its row and looks for what is left, either finds
    these rows or makes us delete them.
    """
    db.insert_select(
        table, ("user_id", column), ("email_count", "bytes_used"),
        f"SELECT user_id, :{column}, SUM(email_count), SUM(bytes_used) FROM ({detail} "
        f"UNION ALL SELECT user_id, 0, 0 FROM {{{table}}} WHERE {column} = :{column}) AS parts "
        "WHERE 1 = 1 GROUP BY user_id", add=False, **values)
    db.execute(f"DELETE FROM {{{table}}} WHERE {column} = :{column} AND (email_count = 0 "
               f"OR NOT EXISTS (SELECT 1 FROM {{users}} WHERE {{users}}.id = {{{table}}}.user_id))",
               **values)


def _paced(ctx, work):
    """`work()` in one transaction, and then a pause in which others write."""
    began = ctx.monotonic()
    result = ctx.db.batch(work)
    ctx.sleep((ctx.monotonic() - began) * ctx.db.dialect.batches.share)
    return result


# What is past its time

def _stale(db, table: str, first: str) -> int:
    return db.value(f"SELECT COUNT(*) FROM {{{table}}} WHERE {TABLES[table]} < :first", first=first)


def _delete_old(ctx, first: str) -> None:
    """Day by day."""
    for table, column in TABLES.items():
        for row in ctx.db.query(f"SELECT DISTINCT {column} AS day FROM {{{table}}} "
                                f"WHERE {column} < :first ORDER BY {column}", first=first):
            if ctx.should_stop():
                return
            ctx.count("deleted", _paced(ctx, partial(
                ctx.db.execute, f"DELETE FROM {{{table}}} WHERE {column} = :day", **row)))


# Days as text, as the database holds them

def _after(day: str, days: int = 1) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _monday(day: str) -> str:
    return _after(day, -date.fromisoformat(day).weekday())
