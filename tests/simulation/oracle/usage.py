"""What is added up: totals to the byte, usage by day and week, thresholds (docs/usage.md)."""
from __future__ import annotations

from calendar import monthrange
from collections import Counter
from datetime import date, datetime, time, timedelta, timezone

from . import DAY, START, Rule, text

KEEP = 45                                   # days of usage, in whole weeks
THRESHOLDS = {60: 50, 70: 70, 80: 101, 100: 101}    # percent: up to which percent of the cycle
METRICS = {"bandwidth": "bandwidth_limit_bytes", "emails": "email_limit"}
AFTER_THE_END = 2                           # days in which a cycle is still looked at
LARGEST = 2 ** 40                           # no message has more bytes


def _monday(day: str) -> str:
    found = date.fromisoformat(day)
    return str(found - timedelta(days=found.weekday()))


def _living(step) -> set[int]:
    return {id for id, row in step.after["users"].items() if row["status"] != "deleted"}


def _log(row: dict) -> tuple:
    """What a row of the log adds to which total, a key of message_stats."""
    size = row["bytes_used"] if 0 <= row["bytes_used"] <= LARGEST else 0
    return (row["user_id"], row["alias_id"] or 0, str(row["created_at"])[:10], row["direction"],
            row["status"]), 1, size


def _add(sums: dict, key: tuple, number: int, size: int) -> None:
    count, total = sums.get(key, (0, 0))
    sums[key] = count + number, total + size


class Sums(Rule):
    """The log and the kept totals together never change, whatever is purged; after a good run of
    rollup_usage each day and week is exactly what was written for it."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        # our own sums of all log rows that the app ever wrote, each seen before a tick
        self._totals: dict[tuple, tuple] = {}
        self._floor = ""                        # weeks before it may have been deleted

    def check(self, step):
        living, found = _living(step), {}
        for id, row in step.before["message_logs"].items():
            if id not in self._seen:
                self._seen.add(id)
                _add(self._totals, *_log(row))
        for row in step.after["message_stats"].values():
            _add(found, (row["user_id"], row["alias_id"], str(row["day"]), row["direction"],
                         row["status"]), row["email_count"], row["bytes_used"])
        for row in step.after["message_logs"].values():
            _add(found, *_log(row))
        yield from _differences("totals", living, found, self._totals)
        first = _monday(text(step.ages.now - KEEP * DAY)[:10])
        self._floor = max(self._floor, first)
        for (user, week), row in step.gone("usage_weekly").items():
            if not step.is_leaving(row) and (str(week) >= first or step.ages.in_doubt):
                yield f"the usage of user {user} in the week of {week} was deleted"
        if step.ran_well("rollup_usage"):
            days, weeks = {}, {}
            for (user, _, day, *_), value in self._totals.items():
                if day >= self._floor:
                    _add(days, (user, day), *value)
                    _add(weeks, (user, _monday(day)), *value)
            for table, own in (("usage_daily", days), ("usage_weekly", weeks)):
                yield from _differences(table, living, {
                    (user, str(day)): (row["email_count"], row["bytes_used"])
                    for (user, day), row in step.after[table].items()
                    if str(day) >= self._floor}, own)


def _differences(what: str, living: set, found: dict, own: dict):
    for key in sorted(own.keys() | found.keys()):
        if key[0] in living and own.get(key) != found.get(key):
            yield f"{what} of {key} are {found.get(key)} and should be {own.get(key)}"


def cycle(user: dict, day: date) -> tuple[date, date]:
    """The first day of the billing cycle that a day is in, and of the next one."""
    anchor = int(str(user["billing_anchor"] or user["created_at"])[8:10])

    def start(months: int) -> date:
        year, month = divmod(months, 12)
        return date(year, month + 1, min(anchor, monthrange(year, month + 1)[1]))
    months = day.year * 12 + day.month - 1
    months -= start(months) > day
    return start(months), start(months + 1)


class Thresholds(Rule):
    """Each threshold is recorded once in a cycle, when it is crossed, and not without."""

    def __init__(self) -> None:
        self._recorded: set[tuple] = set()

    def check(self, step):
        news: Counter = Counter()
        for row in step.new("usage_events").values():
            key = (row["user_id"], str(row["cycle_start"]), row["metric"], row["threshold"])
            if key in self._recorded:
                yield f"{key} was recorded twice"
            self._recorded.add(key)
            yield from self._crossed(step, row)
            owner = step.after["users"][row["user_id"]]
            if (owner["status"] == "active"
                    and str(cycle(owner, _today(step, step.ended))[0]) == key[1]):
                known = [old["threshold"] for old in step.before["usage_events"].values()
                         if (old["user_id"], str(old["cycle_start"]), old["metric"]) == key[:3]]
                news[row["user_id"]] += row["threshold"] > max(known, default=0)
        if step.changed("usage_events"):
            yield "events of usage were changed"
        told = step.notified("usage_threshold")
        for user, number in news.items():
            if number and told[user] != 1 and step.skew == 0:
                yield f"user {user} crossed {number} thresholds and got {told[user]} notices"
        for user in told.keys() - news.keys():
            yield f"user {user} got a notice of usage, and no threshold was crossed"
        if step.ran_well("check_usage_thresholds"):
            for id in _living(step):
                yield from self._missing(step, id)

    def _crossed(self, step, row):
        user = step.before["users"][row["user_id"]]
        name = f"{row['metric']} {row['threshold']} % of user {row['user_id']}"
        begins = date.fromisoformat(str(row["cycle_start"]))
        found = cycle(user, begins)
        # one that ended two days ago to the second is looked at
        if found[0] != begins or begins > _today(step, step.ended) or _today(
                step, step.began - 1) - found[1] >= timedelta(days=AFTER_THE_END):
            yield f"{name}: {begins} begins no cycle of these days"
        limit, used = user[METRICS[row["metric"]]], row["used"]
        if limit is None or limit != row["limit_value"] or not _reaches(
                used, limit, row["threshold"]):
            yield f"{name}: {used} of {limit} is less, or its limit is not {row['limit_value']}"
        if used not in {_used(rows, row["user_id"], row["metric"], found)
                        for rows in (step.before, step.after)}:
            yield f"{name}: {used} is not what was used"

    def _missing(self, step, id: int):
        user = step.before["users"].get(id)
        found = user and cycle(user, _today(step, step.began))
        if not found or found != cycle(user, _today(step, step.ended)):
            return
        elapsed = _elapsed(step, step.ended, found)
        for metric, column in METRICS.items():
            limit, used = user[column], _used(step.before, id, metric, found)
            for threshold, until in THRESHOLDS.items():
                key = (id, str(found[0]), metric, threshold)
                if (limit is not None and used and elapsed < until
                        and _reaches(used, limit, threshold) and key not in self._recorded):
                    yield f"{key} was crossed with {used} of {limit}, and there is no event"


def _today(step, second: float) -> date:
    return date.fromisoformat(text(second + step.skew)[:10])


def _used(rows: dict, user: int, metric: str, found: tuple) -> int:
    column = "bytes_used" if metric == "bandwidth" else "email_count"
    return sum(row[column] for (owner, day), row in rows["usage_daily"].items()
               if owner == user and str(found[0]) <= str(day) < str(found[1]))


def _elapsed(step, second: float, found: tuple) -> int:
    """How many percent of the cycle have passed."""
    first, end = (datetime.combine(day, time(), timezone.utc).timestamp() for day in found)
    passed = int(START.timestamp() + second + step.skew) - first
    return max(0, min(100, int(passed * 100 // (end - first))))


def _reaches(used: int, limit: int, percent: int) -> bool:
    return used * 100 >= limit * percent if limit > 0 else used > 0


RULES = (Sums, Thresholds)
