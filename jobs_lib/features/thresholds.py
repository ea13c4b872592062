"""Which users have used how much of their limits, and notifying them once.

Users share at most 31 anchor days, and so 31 cycles and the few that have just ended. One question
a cycle adds up the daily totals of all of its users, by ranges of the primary key: by a join,
MariaDB would read every day that there ever was of them.
"""
from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, time, timedelta, timezone
from functools import partial

from jobs_lib.clock import Invalid
from jobs_lib.database.stored import chunked
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.notices import notify
from jobs_lib.features.notifications.reminders import alone as isolated
from jobs_lib.records import namedtuple
from jobs_lib.text import counted, size

PAGE = 900                          # users in one question: more, MariaDB turns into a join
AT_ONCE = 50                        # users in one commit, with their notices
SHOWN = 5
ENDED = timedelta(hours=48)  # how long the last hours of a cycle may take to be counted

# {what is counted: (the column of its limit, how a notice calls that)}
METRICS = {"bandwidth": ("bandwidth_limit_bytes", "your data allowance"),
           "emails": ("email_limit", "your email allowance")}
DAY = timedelta(days=1)
Cycle = namedtuple("Cycle", "start end")
Period = namedtuple("Period", "start end elapsed counting")
Period.__doc__ = """A billing cycle as it is now: how many whole percent of it have passed, and the
percentages that count now, ascending."""
Crossing = namedtuple("Crossing", "metric used limit new is_news")
Crossing.__doc__ = """What a user has used of a metric, and the `new` thresholds, ascending. Where
the last is above those before, it `is_news`: the user is notified."""

USERS = ("SELECT id, email, name, status, bandwidth_limit_bytes, email_limit, "
         "COALESCE(billing_anchor, created_at) AS anchored FROM {users} WHERE %s "
         "AND status <> 'deleted' "
         "AND (bandwidth_limit_bytes IS NOT NULL OR email_limit IS NOT NULL)")
USED = ("SELECT user_id, SUM(bytes_used) AS bandwidth, SUM(email_count) AS emails "
        "FROM {usage_daily} WHERE user_id IN (:ids) AND day >= :start AND day < :end "
        "GROUP BY user_id")
KNOWN = ("SELECT user_id, metric, threshold FROM {usage_events} "
         "WHERE user_id IN (:ids) AND cycle_start = :start")


def check(ctx) -> None:
    """Record what was crossed and notify; counts users, events and notices."""
    sample: list[dict] = []
    for period, ids in _suspects(ctx):
        if ctx.should_stop():  # a process that slept for hours would judge by its start
            break
        few = ids[:ctx.within_limit(len(ids), ctx.counts["users"])]
        sample += ctx.db.batch(partial(_record, ctx, period, few))[:SHOWN - len(sample)]
        if ctx.should_stop(ctx.counts["users"]):
            break
        if not ctx.dry_run:
            ctx.sleep(ctx.db.dialect.batches.pause)  # others write too
    if ctx.dry_run and sample:
        ctx.show(f"record {counted(ctx.counts['events'], 'event')}, with "
                 f"{counted(ctx.counts['notices'], 'notice')}", sample)


# Who has used how much

def _suspects(ctx):
    """(Period, ids of a few users who have crossed a threshold that has no event yet)."""
    periods, looked = _periods(ctx), 0
    start = "1 = 1" if "users" in ctx.db.text_keys else "id > 0"
    for page in ctx.db.pages(USERS % start, size=PAGE):
        groups: dict = {}
        for user in page:
            with isolated(ctx, user["id"]):  # an app may have written anything into its columns
                anchor = str(user["anchored"])[8:10]
                if anchor not in periods:
                    raise Invalid(f"billing_anchor = {user['anchored']!r} is not a valid day")
                for period in periods[anchor]:
                    groups.setdefault(period, []).append(user)
        for period, users in groups.items():
            for few in chunked(_crossings(ctx, period, users), AT_ONCE):
                yield period, few
        looked += len(page)
        ctx.progress(looked, events=ctx.counts["events"])


def _periods(ctx) -> dict:
    """{"01"-"31": Periods of that anchor day}: the present one, one just ended."""
    days = ctx.now.date(), (ctx.now - ENDED).date()

    def period(found: Cycle) -> Period:
        elapsed = elapsed_percent(found, ctx.now)
        return Period(*found, elapsed, tuple(
            percent for percent, until in ctx.options.thresholds
            if until is None or elapsed < until))
    return {f"{anchor:02}": [*map(period, dict.fromkeys(cycle(anchor, day) for day in days))]
            for anchor in range(1, 32)}


def _crossings(ctx, period: Period, users: list[dict]) -> dict:
    """{id of a user: Crossings, the highest first}, of those of the users who have any."""
    known, found = defaultdict(set), {}
    asked = {"ids": [user["id"] for user in users], "start": period.start}
    used = {row["user_id"]: row for row in ctx.db.query(USED, **asked, end=period.end)}
    for row in ctx.db.query(KNOWN, **asked):
        known[row["user_id"], row["metric"]].add(row["threshold"])
    for user in users:
        if not (theirs := used.get(user["id"])):
            continue
        with isolated(ctx, user["id"]):
            crossed = []
            for metric, (column, _) in METRICS.items():
                amount, limit, had = theirs[metric], user[column], known[user["id"], metric]
                if new := _reached(period, amount, limit, had):
                    is_news = new[-1] > max(had, default=0)
                    crossed.append(Crossing(metric, amount, limit, new, is_news))
            if crossed:
                found[user["id"]] = sorted(crossed, key=lambda each: -each.new[-1])
    return found


def _reached(period: Period, used: int, limit, known: set) -> list[int]:
    """The percentages of a limit that count now, are reached, and have no event yet."""
    if isinstance(limit, (str, bytes)):  # SQLite takes any text for a number
        raise Invalid(f"the limit {limit[:40]!r} is not a number")
    return [percent for percent in period.counting
            if limit is not None and percent not in known
            and (used * 100 >= limit * percent if limit > 0 else used > 0)]


# Recording and notifying

def _record(ctx, period: Period, ids: list) -> list[dict]:
    """The events of these users, judged again in one transaction."""
    is_over = period.end <= ctx.now.date()  # then nobody is notified any more
    users = ctx.db.query(f"{USERS % 'id IN (:ids)'} ORDER BY id{ctx.db.for_update}", ids=ids)
    crossings, events = _crossings(ctx, period, users), []
    for user in users:
        crossed = crossings.get(user["id"], [])
        events += [{"user_id": user["id"],
                    "cycle_start": period.start.isoformat(),
                    "metric": each.metric,
                    "threshold": percent,
                    "used": each.used,
                    "limit_value": each.limit,
                    "elapsed_percent": period.elapsed}
                   for each in crossed for percent in each.new]
        news = [each for each in crossed if each.is_news]
        if (news and ctx.options.notify and not is_over and user["status"] == "active"
                and _notify(ctx, period, user, news) is not None):
            ctx.count("notices")
    ctx.count("users", len(crossings))
    ctx.count("events", len(events))
    for event in events if not ctx.dry_run else ():
        ctx.db.insert("usage_events", **event, created_at=ctx.clock())
    return events


def _notify(ctx, period: Period, user: dict, crossed: list[Crossing]) -> int | None:
    """Queue one notice of what is new, the highest first; the result of `notify`."""
    first, items = crossed[0], [_item(each) for each in crossed]
    key = f"usage-threshold:{user['id']}:{period.start}:{first.metric}:{first.new[-1]}"
    return notify(ctx, user, "usage_threshold", key, {
        "items": items, **{name: items[0][name] for name in ("all", "threshold", "of_what")},
        "cycle_end": render.day(period.end)})


def _item(crossing: Crossing) -> dict:
    metric, used, limit, new, _ = crossing
    shown = f"{used:,}", counted(limit, "email")
    if metric == "bandwidth":
        # in the units of the limit: who sells 10 GB may have stored it as 10 times 1024 cubed
        base = 1024 if limit % 1_000_000 and limit % 1_048_576 == 0 else 1000
        shown = size(used, base), size(limit, base)
    return {"threshold": new[-1], "all": new[-1] >= 100, "of_what": METRICS[metric][1],
            "percent": used * 100 // limit if limit > 0 else 100,
            "used": shown[0], "limit": shown[1]}


# Billing cycles, in whole UTC days

def cycle(anchor: int, day: date) -> Cycle:
    """The cycle of this anchor day (1-31) that `day` is in; its `end` is the first day of the next.

    A month without such a day ends it on its last one, and the month after goes back to the anchor:
    31 January, 28 February, 31 March.
    """
    months = day.year * 12 + day.month - 1
    if _anchored(anchor, months) > day:
        months -= 1
    return Cycle(_anchored(anchor, months), _anchored(anchor, months + 1))


def elapsed_percent(found: Cycle, now: datetime) -> int:
    """How much of the cycle has passed at an aware UTC time, in whole percent: 0-100."""
    passed = now - datetime.combine(found.start, time(), timezone.utc)
    return max(0, min(100, passed * 100 // (found.end - found.start)))


def _anchored(anchor: int, months: int) -> date:
    """The anchor day in a month, given as months since the year 0, or the month's last day."""
    first, following = (date(number // 12, number % 12 + 1, 1) for number in (months, months + 1))
    return min(first + (anchor - 1) * DAY, following - DAY)
