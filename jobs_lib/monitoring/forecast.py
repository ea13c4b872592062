"""What the coming days will delete, warn of and send, how that fits the limits, and what stands out
in it, as one document.

It reads only. What a job will do is declared with it (`Job.coming`, and the rules of each Purge),
and counted by engines/outlook.py, each job within its share of the time.
"""
from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace

from jobs_lib import catalogue, clock, schedule
from jobs_lib.database import stored
from jobs_lib.engines import past_time, purge, relay_limits
from jobs_lib.engines.claimed_queue import ClaimedQueue, all_unfinished
from jobs_lib.engines.outlook import MOST, Counter, deletes
from jobs_lib.engines.relay_pause import pause_now
from jobs_lib.engines.rules import Purge
from jobs_lib.engines.safety_stop import NEVER, RetentionGuard
from jobs_lib.engines.work_queue import view
from jobs_lib.errors import ConfigError, DatabaseError, Missing
from jobs_lib.records import namedtuple
from jobs_lib.runner import table_gaps
from jobs_lib.text import counted, span

from . import overdue, queues

SECONDS = 60.0                  # for all counting; a job gets half of what is left
AGAIN_SECONDS = 1.0             # between two interrupts of a statement that takes too long
DAY = timedelta(days=1)
RUNS = 10                       # good runs of a job that show what is usual
LEAST_RUNS = 3                  # without so many, nothing is known to be usual
# more than so many times the largest of these runs, and more than so many rows, is no usual run
TIMES, ROWS = 10, 100
# before the first good run: more than so many rows, and than this share of all, stand out
FIRST_ROWS, FIRST_SHARE = 300, 0.5
MISTAKE = "If that is a mistake, correct the option."
MAIL_QUEUES = ("forwards", "notifications")
WARNS = ("notify of", "remind of", "warn of")       # acts that write notices

Backlog = namedtuple("Backlog", "window limit usable free seconds")
Backlog.__doc__ = """How one limit of the relay holds up what waits.

usable   recipients a window that are not reserved for urgent mail
free     of these, still to be had in the present one       seconds  until all that waits is sent
"""


class TimeLimit:
    """Ends the statement in hand when the time is over, and each one after it; a context
    manager."""

    def __init__(self, db, seconds: float, monotonic) -> None:
        self._db, self._seconds, self._monotonic = db, seconds, monotonic
        self._end, self._over = monotonic() + seconds, threading.Event()

    def has_time(self) -> bool:
        """Whether there is some left."""
        return self._monotonic() < self._end

    def __enter__(self) -> TimeLimit:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            self._db.interrupt()
            wait = AGAIN_SECONDS


def collect(config, db, ports, days: int, seconds: float = SECONDS) -> dict:
    """The forecast. Times are UTC as text; numbers that were not counted to the end have `more`."""
    now = ports.now()
    broken: list[str] = []
    zone = schedule.zone(config.section("core").timezone)
    moments = steps(now, days, zone)
    jobs = catalogue.load_all(broken)
    states = overdue.states(db, jobs)
    end, found, warnings = ports.monotonic() + seconds, [], []
    for job in jobs:
        try:
            ctx = looked_at(db, config, now, job)
        except ConfigError as error:
            warnings.append(_warning(job.name, "does not run", "; ".join(error.problems)))
            continue
        share = max(1.0, (end - ports.monotonic()) / 2)
        with TimeLimit(db, share, ports.monotonic) as limit:
            one = _job(ctx, states.get(job.name), Counter(ctx, moments, limit.has_time), limit,
                       zone)
        warnings += one.pop("warnings")
        found.append(one)
    waiting = _waiting(db, found)
    mail = _mail(config, db, now, waiting, found)
    warnings += mail.pop("warnings") + _idle(found, waiting)
    return {"generated_at": clock.text(now), "days": days, "until": clock.text(moments[-1]),
            "warnings": warnings, "jobs": found, "queues": waiting, "mail": mail,
            "problems": broken}


def looked_at(db, config, now, job) -> SimpleNamespace:
    """A job as a dry run sees it. ConfigError when its section is wrong."""
    return SimpleNamespace(**vars(view(db, config, now, config.job(job))), job=job, dry_run=True,
                           clock_in_doubt=None, confirmed=False, should_stop=lambda *_: False)


def coming_of(ctx) -> list:
    """All that a job says that it will do: Coming."""
    job = ctx.job
    return [*([deletes(job.run)] if isinstance(job.run, Purge) else []),
            *(job.coming(ctx) if job.coming else [])]


def steps(now, days: int, zone) -> list:
    """Now, each midnight of the zone in the coming days, and the end of them."""
    end, found = now + days * DAY, [now]
    day = now.astimezone(zone).date()
    while True:
        day += timedelta(days=1)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(clock.UTC)
        if midnight >= end:
            return [*found, end]
        if midnight > now:
            found.append(midnight)


def _warning(job: str | None, subject: str, what: str, fix: str = "") -> dict:
    return {"job": job, "subject": subject, "what": what, "fix": fix}


# Jobs

def _job(ctx, state: dict | None, counter: Counter, limit: TimeLimit, zone) -> dict:
    job, options = ctx.job, ctx.options
    paused = state and state["paused_at"]
    is_off = state is not None and state["due_after"] == overdue.UNCONFIRMED
    runs = options.enabled and not (paused or is_off)
    found = {"name": job.name, "enabled": options.enabled,
             "unconfirmed": is_off,
             "paused_at": paused and (clock.text(stored.time(paused) or ctx.now)),
             "next_run": clock.text(schedule.following(options.schedule, ctx.now, zone))
             if runs else None,
             "items": [], "off": [], "not_counted": None, "incomplete": False, "warnings": []}
    everything = coming_of(ctx)
    purges = [coming.purge for coming in everything if coming.act == "delete"]
    for coming in everything:
        try:
            outlook = counter.outlook(coming)
            if outlook is None:
                found["off"].append(f"{coming.act} {coming.what}")
                continue
            item = _item(coming, outlook, counter.moments, zone)
            found["items"].append(item)
            if coming.act == "delete":
                found["warnings"] += _judge(ctx, coming, item)
        except DatabaseError as error:
            if limit.has_time():
                found["not_counted"] = (table_gaps.missing(ctx.db, job)
                                        if isinstance(error, Missing) else "") or str(error)
                found["incomplete"] = isinstance(error, Missing)
                break
            found["not_counted"] = "the database did not answer in time"
            found["warnings"] += _judge_uncounted(ctx, coming)
    if purges and not found["not_counted"] and not found["warnings"]:
        found["warnings"] += _judge_longer(ctx, purges, [item for item in found["items"]
                                                         if item["act"] == "delete"])
    return found


def _judge_uncounted(ctx, coming) -> list[dict]:
    """A retention that was shortened, where nobody can tell in time what that means."""
    if coming.act != "delete":
        return []
    guard = purge.guard(ctx, purge.cutoffs(coming.purge, ctx.options, ctx.now))
    below = _below_default(ctx, guard)
    if below and _is_first(ctx, guard):
        return [_warning(ctx.job.name, f"{ctx.job.name}: a retention is shorter than its default",
                         f"first run: it was not counted in time what it deletes; {below}.",
                         MISTAKE)]
    return [_shorter(ctx.job.name, guard, "it was not counted in time what that deletes: "
                     f"`jobs.py {ctx.job.name} --dry-run` does")] if guard.shortened() else []


def _shorter(job: str, guard, what: str) -> dict:
    return _warning(job, f"{job}: a retention is shorter than it was",
                    f"{guard.shortened()['why']}; {what}.", MISTAKE)


def _item(coming, outlook, moments: list, zone) -> dict:
    busiest = max(range(len(outlook.days)), key=outlook.days.__getitem__)
    most = outlook.days[busiest]
    return {"act": coming.act, "what": coming.what, "now": outlook.now,
            "held_back": outlook.held_back if coming.act == "delete" else 0,
            "total": outlook.now + sum(outlook.days),
            "busiest": most,
            "busiest_day": str(moments[busiest].astimezone(zone).date()) if most else None,
            "more": not outlook.whole}


def _judge(ctx, coming, item: dict) -> list[dict]:
    """What stands out in what a purge will delete: a retention that was mistyped, most of all."""
    timed = purge.cutoffs(coming.purge, ctx.options, ctx.now)
    job, what = ctx.job.name, coming.what
    guard = purge.guard(ctx, timed)
    stop = purge.confirm(ctx, guard, coming.purge, timed)
    number = _number(item["now"] + item["held_back"], item["now"] >= MOST)
    if stop:
        return [_warning(job, f"{job}: its next run will stop before it deletes anything", stop)]
    if _is_first(ctx, guard):
        return _judge_first(ctx, guard, coming, item)
    usual = _usual(ctx.db, job)
    most = max(usual, default=0)
    known = len(usual) >= LEAST_RUNS
    if item["now"] > max(ROWS, TIMES * most) and (known or guard.shortened()):
        # too few rows, or too small a share of all, for the safety stop
        why = guard.shortened()["why"] if guard.shortened() else "no retention was changed"
        return [_warning(
            job, f"{job}: its next run will delete far more than usual",
            f"{number} {what}, where {_before(usual)}; {why}. No safety stop holds this back.",
            f"If that is a mistake, correct the option, or `jobs.py pause {job}` first.")]
    if guard.shortened():
        return [_shorter(job, guard, f"the next run will delete up to {number} {what}")]
    return []


def _judge_longer(ctx, purges: list, items: list[dict]) -> list[dict]:
    """A retention that was made longer, or with which nothing becomes due any more. A run counts
    what all purges of its job deleted, so they are judged together."""
    job, usual = ctx.job.name, _usual(ctx.db, ctx.job.name)
    options = {rule.option for one in purges for rule in one.rules if rule.option}
    limits = {name: getattr(ctx.options, name) for name in sorted(options)}
    # Runs of a job that is off remember nothing: ten of them that deleted nothing, and it is known.
    if not items and (len(usual) < RUNS or max(usual) > 0):
        limits = {name: NEVER if limit is None else limit for name, limit in limits.items()}
    longer = RetentionGuard(ctx, {name: limit for name, limit in limits.items()
                                  if limit is not None}).lengthened()
    if items and (not any(item["total"] or item["held_back"] for item in items)
                  and len(usual) >= LEAST_RUNS and min(usual) > 0):
        what = " and no ".join(item["what"] for item in items)
        return [_warning(job, f"{job}: nothing becomes due any more",
                         f"no {what} within the forecast, where {_before(usual)}; "
                         f"{longer or 'no retention was changed'}.",
                         "If a retention is too long, correct it.")]
    return [_warning(job, f"{job}: a retention is longer than it was", f"{longer}.", MISTAKE)
            ] if longer else []


def _before(usual: list[int]) -> str:
    runs = "good run" if len(usual) == 1 else f"{len(usual)} good runs"
    return f"the last {runs} deleted at most {max(usual, default=0):,}"


def _is_first(ctx, guard) -> bool:
    """Whether there is no good run to compare to, and nobody has confirmed these retentions."""
    return not guard.last.keys() & guard.limits.keys() and ctx.db.row(
        "SELECT id FROM {job_runs} WHERE job = :job AND status = 'ok' LIMIT 1",
        job=ctx.job.name) is None


def _judge_first(ctx, guard, coming, item: dict) -> list[dict]:
    """The same before the first good run: there are only the defaults to compare to, and no safety
    stop."""
    job, below, number = ctx.job.name, _below_default(ctx, guard), _number(
        item["now"], item["now"] >= MOST)
    if item["now"] > FIRST_ROWS:
        total = ctx.db.value(f"SELECT COUNT(*) FROM {{{coming.purge.table}}}")
        if item["now"] > FIRST_SHARE * total or item["now"] >= MOST:
            return [_warning(
                job, f"{job}: its first run will delete a large share of a table",
                f"first run: {number} of {total:,} {coming.what}; "
                f"{below or 'no retention is shorter than its default'}. No safety stop holds this "
                "back.",
                f"If that is a mistake, correct the option, or `jobs.py pause {job}` first.")]
    return [_warning(job, f"{job}: a retention is shorter than its default",
                     f"first run: {number} {coming.what}; {below}.", MISTAKE)] if below else []


def _below_default(ctx, guard) -> str:
    """The retentions that are shorter than their defaults, or ""."""
    found = []
    for name in guard.limits:
        option, limit = ctx.job.options[name], getattr(ctx.options, name)
        default = option.kind.parse(option.default)
        if default is None or limit < default:
            found.append(f"[{ctx.job.name}] {name} is {option.kind.show(limit)}, the default is "
                         f"{option.default}")
    return ", ".join(found)


def _usual(db, job: str) -> list[int]:
    """What the last good runs deleted each."""
    found = [stored.counts(row["counts"]) for row in db.query(
        "SELECT counts FROM {job_runs} WHERE job = :job AND status = 'ok' ORDER BY id DESC "
        "LIMIT :most", job=job, most=RUNS)]
    return [stored.count(counts, "deleted") for counts in found if "deleted" in counts]


def _number(number: int, more: bool) -> str:
    return f"{number:,}{'+' if more else ''}"


# Queues and mail

def _waiting(db, found: list[dict]) -> list[dict]:
    """What waits in the queues that send."""
    jobs = {job["name"]: job for job in found}
    listed = []
    for queue in queues.QUEUES:
        job = jobs.get(queue.job)
        if job and isinstance(queue, ClaimedQueue):
            with suppress(Missing):         # what its job lacks is said of the job
                by_app = past_time.left_to_app(db, queue)
                listed.append({"name": queue.name, "job": queue.job, "by_app": by_app,
                               "waiting": all_unfinished(db, queue.table) - by_app,
                               "suspended": _of_suspended(db, queue.table),
                               "runs": job["next_run"] is not None})
    return listed


def _of_suspended(db, table: str) -> int:
    """How many rows wait for as long as their owner is suspended."""
    return db.value(f"SELECT COUNT(*) AS number FROM {{{table}}} "
                    f"JOIN {{users}} ON {{users}}.id = {{{table}}}.user_id "
                    f"WHERE {{{table}}}.status = 'pending' AND {{users}}.status = 'suspended'")


def _mail(config, db, now, waiting: list[dict], found: list[dict]) -> dict:
    """When the mail that waits is sent at the relay's limits, and the notices that are to come."""
    mail = {"waiting": 0, "paused_until": None, "limits": [], "done_at": now, "bound_by": None,
            "notices": 0, "notices_more": False, "busiest_notices": 0, "warnings": []}
    # what will be sent as things are
    mail["waiting"] = sum(queue["waiting"] - queue["suspended"] for queue in waiting
                          if queue["name"] in MAIL_QUEUES and queue["runs"])
    written = [item for job in found if job["next_run"] for item in job["items"]
               if item["act"] in WARNS]
    mail["notices"] = sum(item["total"] for item in written)
    mail["notices_more"] = any(item["more"] for item in written)
    mail["busiest_notices"] = max((max(item["now"], item["busiest"]) for item in written),
                                  default=0)
    try:
        section = config.section("mail")
    except ConfigError as error:
        mail["warnings"].append(_warning(None, "[mail] cannot be used", "; ".join(error.problems)))
        return {**mail, "done_at": None}
    relay = relay_limits.Relay(db, section)
    if pause := pause_now(db, now):
        mail["paused_until"] = pause["paused_until"]
    begin = stored.time(mail["paused_until"]) or now
    backlogs = [_backlog(window, limit, relay.used(now)[window.name][0], section.urgent_share,
                         mail["waiting"]) for window, limit in relay.limits]
    mail["limits"] = [{"per": each.window.name, "limit": each.limit, "usable": each.usable,
                       "free": each.free} for each in backlogs]
    slowest = max(backlogs, key=lambda each: each.seconds, default=None)
    seconds = slowest.seconds if slowest else 0
    mail["done_at"] = clock.text(clock.plus(begin, timedelta(seconds=seconds)))
    if slowest and seconds:
        mail["bound_by"] = f"[mail] per_{slowest.window.name} = {slowest.limit}"
    if seconds > DAY.total_seconds():
        mail["warnings"].append(_warning(
            None, "mail waits longer than a day",
            f"{counted(mail['waiting'], 'message')} at {mail['bound_by']} take "
            f"{span(timedelta(seconds=seconds))}; what comes in meanwhile waits behind them.",
            "Raise the limit if the relay allows more."))
    day = next((each for each in backlogs if each.window.name == "day"), None)
    if day and mail["busiest_notices"] > day.usable:
        mail["warnings"].append(_warning(
            None, "more notices than a day's mail",
            f"up to {mail['busiest_notices']:,} items are to be notified of on one day, and [mail] "
            f"per_day = {day.limit} leaves {day.usable:,} that are not urgent.",
            "They are sent on the days after; raise the limit if the relay allows more."))
    return mail


def _backlog(window, limit: int, used: int, urgent_share: int, waiting: int) -> Backlog:
    """As many as fit now, then a windowful each window. A minute has nothing reserved, as in
    relay_limits."""
    kept = 0 if window == relay_limits.MINUTE else limit * urgent_share // 100
    usable = max(1, limit - kept)
    free = max(0, usable - used)
    windows = -(-max(0, waiting - free) // usable)
    return Backlog(window, limit, usable, free, windows * window.span)


def _idle(found: list[dict], waiting: list[dict]) -> list[dict]:
    """Jobs that have something to do and will not do it."""
    sends = {queue["job"]: (queue["waiting"], queue["name"]) for queue in waiting}
    warnings = []
    for job in found:
        if job["next_run"]:
            continue
        what = [f"{item['act']} {_number(item['total'], item['more'])} {item['what']}"
                for item in job["items"] if item["total"]]
        number, words = sends.get(job["name"], (0, ""))
        if number:
            what.append(f"send {number:,} {words}")
        if what:
            name = job["name"]
            why, fix = next((why, fix) for why, fix, applies in (
                ("is disabled", f"[{name}] enabled = yes starts it again.", not job["enabled"]),
                ("is paused", f"`jobs.py resume {name}` ends the pause.", job["paused_at"]),
                ("is not confirmed", f"`jobs.py adopt --confirm {name}` starts it.", True))
                if applies)
            warnings.append(_warning(name, f"{name} {why}", "It will not "
                                     f"{', '.join(what)}.", fix))
    return warnings
