"""Which users have used how much of their limits, and notifying them once.

Users share at most 31 anchor days, and so 31 cycles and the few that have just ended. A page of
users is split by cycle; one question a cycle adds up the daily totals of all of its users, by
ranges of the primary key. Were each user's cycle taken from a joined row instead, MariaDB would
read every day that there ever was of them.
"""
from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from functools import partial

from jobs_lib.database.values import chunked
from jobs_lib.errors import Invalid
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.notifications.reminders import alone as isolated
from jobs_lib.records import namedtuple
from jobs_lib.text import counted, size

from . import billing

# users at once: few for SQLite's page cache, enough for many in each question
PAGE = 2000
LISTED = 900                        # of them in one question: more, MariaDB turns into a join
AT_ONCE = 50                        # users in one commit, with their notices
SHOWN = 5
ENDED = timedelta(hours=48)         # how long the last hours of a cycle may take to be counted
KIND = "usage_threshold"

Metric = namedtuple("Metric", "name limit of_what amounts")
Period = namedtuple("Period", "cycle elapsed counting is_over")
Period.__doc__ = """A cycle as it is now.

elapsed   whole percent of it that have passed
counting  the percentages that count now, ascending
is_over   it has ended: nobody is notified any more
"""

USERS = ("SELECT id, COALESCE(billing_anchor, created_at) AS anchored,"
         " SUBSTR(COALESCE(billing_anchor, created_at), 9, 2) AS anchor, bandwidth_limit_bytes, "
         "email_limit"
         " FROM {users} WHERE %s AND status <> 'deleted'"
         " AND (bandwidth_limit_bytes IS NOT NULL OR email_limit IS NOT NULL)")
USED = ("SELECT user_id, SUM(bytes_used) AS bandwidth, SUM(email_count) AS emails "
        "FROM {usage_daily}"
        " WHERE user_id IN (:ids) AND day >= :start AND day < :end GROUP BY user_id")
KNOWN = ("SELECT user_id, metric, threshold FROM {usage_events} "
         "WHERE user_id IN (:ids) AND cycle_start = :start")
LOCKED = ("SELECT id, email, name, status, bandwidth_limit_bytes, email_limit FROM {users} "
          "WHERE id IN (:ids)"
          " AND status <> 'deleted' ORDER BY id")


def check(ctx) -> None:
    """Record what was crossed and notify; counts users, events and notices."""
    sample: list[dict] = []
    for period, ids in _suspects(ctx):
        work = partial(_record, ctx, period, ids[:ctx.within_limit(len(ids), ctx.counts["users"])])
        sample += (work() if ctx.dry_run else ctx.db.batch(work))[:SHOWN - len(sample)]
        if ctx.should_stop(ctx.counts["users"]):
            break
        if not ctx.dry_run:
            ctx.sleep(ctx.db.dialect.batches.pause)         # others write too
    if sample:
        events, users, notices = (counted(ctx.counts[f"{noun}s"], noun)
                                  for noun in ("event", "user", "notice"))
        ctx.show(f"record {events} of {users}, with {notices}", sample)


# Who has used how much

def _suspects(ctx):
    """(Period, ids of a few users who have crossed a threshold that has no event yet)."""
    periods, looked = _periods(ctx), 0
    for page in ctx.db.pages(USERS % ctx.db.from_start("users"), size=PAGE):
        groups: dict = {}
        for user in page:
            with isolated(ctx, user["id"]):     # an app may have written anything into its columns
                if user["anchor"] not in periods:
                    raise Invalid(f"billing_anchor = {user['anchored']!r} is not a valid day")
                for period in periods[user["anchor"]]:
                    groups.setdefault(period, []).append(user)
        for period, users in groups.items():
            for some in chunked(users, LISTED):
                ids = list(dict.fromkeys(event["user_id"]
                                         for event in _crossed(ctx, period, some)[0]))
                for few in chunked(ids, AT_ONCE):
                    yield period, few
        looked += len(page)
        ctx.progress(looked, events=ctx.counts["events"])


def _periods(ctx) -> dict:
    """{"01"-"31": the Periods of that anchor day}: the present one, and the one before if it has
    just ended."""
    found = {}
    for anchor in range(1, 32):
        now = billing.cycle(anchor, ctx.now.date())
        cycles = [now]
        if datetime.combine(now.start, time(), timezone.utc) >= ctx.now - ENDED:
            cycles.append(billing.cycle(anchor, now.start - billing.DAY))
        found[f"{anchor:02}"] = [_period(ctx, cycle) for cycle in cycles]
    return found


def _period(ctx, cycle) -> Period:
    elapsed = billing.elapsed_percent(cycle, ctx.now)
    counting = tuple(percent for percent, until in ctx.options.thresholds if until is None
                     or elapsed < until)
    return Period(cycle, elapsed, counting, cycle.end <= ctx.now.date())


def _crossed(ctx, period: Period, users: list[dict]) -> tuple[list[dict], set]:
    """(the events that these users lack, as rows, the lowest threshold of a metric first; those
    that they have, as (user id, metric, threshold))."""
    names = {ctx.db.key("users", user["id"]): user["id"] for user in users}

    def theirs(sql: str) -> list[dict]:
        """Rows with the user's id as `users` has it. One is left out that the database finds for a
        user and we do not, as for another accent."""
        rows = ctx.db.query(sql, ids=list(names.values()), start=period.cycle.start,
                            end=period.cycle.end)
        return [{**row, "user_id": names[key]} for row in rows
                if (key := ctx.db.key("users", row["user_id"])) in names]
    used = {row["user_id"]: row for row in theirs(USED)}
    known = {(row["user_id"], row["metric"], row["threshold"]) for row in theirs(KNOWN)}
    events: list[dict] = []
    for user in users:
        if user["id"] in used:
            with isolated(ctx, user["id"]):
                events += _events(period, user, used[user["id"]], known)
    return events, known


def _events(period: Period, user: dict, used: dict, known: set) -> list[dict]:
    found = []
    for metric in METRICS:
        limit = user[metric.limit]
        if isinstance(limit, (str, bytes)):             # SQLite takes any text for a number
            raise Invalid(f"{metric.limit} = {limit[:40]!r} is not a number")
        found += [{"user_id": user["id"], "cycle_start": period.cycle.start.isoformat(),
                   "metric": metric.name, "threshold": percent, "used": used[metric.name],
                   "limit_value": limit, "elapsed_percent": period.elapsed}
                  for percent in period.counting
                  if limit is not None and _reaches(used[metric.name], limit, percent)
                  and (user["id"], metric.name, percent) not in known]
    return found


def _reaches(used: int, limit: int, percent: int) -> bool:
    return used * 100 >= limit * percent if limit > 0 else used > 0


# Recording and notifying

def _record(ctx, period: Period, ids: list) -> list[dict]:
    """The events of these users: one transaction, in which all is judged again; a dry run only
    looks."""
    users = ctx.db.query(LOCKED + ctx.db.for_update, ids=ids)
    events, known = _crossed(ctx, period, users)
    for user in users:
        news = _news([event for event in events if event["user_id"] == user["id"]], known)
        if (news and ctx.options.notify and not period.is_over and user["status"] == "active"
                and notify(ctx, user, KIND, _key(news), _values(period, news)) is not None):
            ctx.count("notices")
    ctx.count("users", len({event["user_id"] for event in events}))
    ctx.count("events", len(events))
    for event in events if not ctx.dry_run else ():
        ctx.db.insert("usage_events", **event, created_at=ctx.clock())
    return events


def _news(events: list[dict], known: set) -> list[dict]:
    """Of each metric the highest, if none as high was recorded before; the highest of all first."""
    highest = {event["metric"]: event for event in events}
    return sorted((event for event in highest.values()
                   if all(threshold < event["threshold"] for user_id, metric, threshold in known
                          if (user_id, metric) == (event["user_id"], event["metric"]))),
                  key=lambda event: -event["threshold"])


def _key(news: list[dict]) -> str:
    first = news[0]
    return ":".join(("usage-threshold", *(str(first[name]) for name in (
        "user_id", "cycle_start", "metric", "threshold"))))


# What the notice says

def _values(period: Period, news: list[dict]) -> dict:
    items = [_item(event, next(metric for metric in METRICS if metric.name == event["metric"]))
             for event in news]
    return {"items": items, "all": items[0]["all"],
            "threshold": items[0]["threshold"], "of_what": items[0]["of_what"],
            "cycle_end": render.day(period.cycle.end)}


def _item(event: dict, metric: Metric) -> dict:
    used, limit = event["used"], event["limit_value"]
    return {"threshold": event["threshold"], "all": event["threshold"] >= 100,
            "of_what": metric.of_what, "of_what_capital": metric.of_what[0].upper()
            + metric.of_what[1:],
            "percent": used * 100 // limit if limit > 0 else 100,
            **dict(zip(("used", "limit"), metric.amounts(used, limit)))}


def _bytes(used: int, limit: int) -> tuple[str, str]:
    """In the units of the limit: who sells 10 GB may have stored it as 10 times 1024 three times
    over."""
    base = 1024 if limit % 1_000_000 and limit % 1_048_576 == 0 else 1000
    return size(used, base), size(limit, base)


def _emails(used: int, limit: int) -> tuple[str, str]:
    return f"{used:,}", counted(limit, "email")


METRICS = (Metric("bandwidth", "bandwidth_limit_bytes", "your data allowance", _bytes),
           Metric("emails", "email_limit", "your email allowance", _emails))
