"""Which jobs are due: their latest slot has no run yet, or has one that is to be carried on.

Work is chosen by "due and not done", never by "now is the minute", so a cron that stalls, skips or
ticks rarely changes nothing but the hour. A tick that finds nothing to do ends here: keep its
imports few.

due_slots     all due jobs of a tick, in the order to start them
prepare_slot  does the job's latest slot count? It writes `job_state` for a job that is new, or was
              just enabled or disabled
state_of      is this one slot due, for a run that is about to begin?
reconcile     the rule behind both: a slot against the runs that it had
Shares        what each due job may use of a tick's time
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.catalogue import LAST, PRIORITIES
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError
from jobs_lib.records import namedtuple

from . import doubt

Due = namedtuple("Due", "job slot trigger late cut", defaults=(None, False))
Due.__doc__ = """A due job: its slot, and whether the run is `scheduled` or is to `continue` an
earlier one, then without a slot of its own.

late  since how long it could have run: from the first slot that it missed, so that it grows while
      others go first
cut   whether its last run ended before its work did: it will need all the time that it gets
"""

# a slot that ended so is carried on
UNFINISHED = ("partial", "timeout", "interrupted", "vanished")
RETRIES = (timedelta(minutes=15), timedelta(hours=1))       # of a slot that failed
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# `due_after` while `enabled = no`: to be switched on again fires nothing old
OFF = "9999-12-31 00:00:00"
# Seconds that a job needs to get anywhere: mail begins no message with less than 60 to the hard
# limit, which is the grace behind the budget.
WITH_GRACE, LEAST_SECONDS = 80.0, 30.0
UNKNOWN = 0.25                  # of the budget, to begin a job that nothing is known of
ROOMY = 4                       # times what a job needs: two urgent ones leave enough for others
LAST_SECONDS = 20.0             # for the job that looks at all others, whatever is left


def due_slots(config, ports, jobs, budget: float = 0.0) -> tuple[list[Due], list[str]]:
    """(the due jobs in the order to start them, what is wrong in the sections of others).

    `budget`: seconds for all of them.
    """
    db, now = ports.database(), ports.now()
    states = {row["job"]: row for row in db.query("SELECT job, paused_at, due_after "
                                                  "FROM {job_state}")}
    wanted, problems = [], []
    for job in jobs:
        try:
            if slot := prepare_slot(config, job, db, now, states.get(job.name)):
                wanted.append((job, slot))
        except ConfigError as error:            # one job's mistake stops no other
            problems += error.problems

    def is_dead(row: dict) -> bool:
        from . import history
        return history.is_dead(db, row, config.section("core"), now)

    first = first_runs(db, wanted)
    found = [due for job, slot in wanted
             if (due := reconcile(job, slot, db, now, first.get(job.name), is_dead))]
    return _ordered(config, db, now, found, states, budget) if found else [], problems


def prepare_slot(config, job, db, now, state: dict | None):
    """The latest slot of the job's schedule, as aware UTC; None where it does not count: the job is
    paused, disabled, or was not known at that time. `state`: its row of `job_state`, which is
    brought up to date.

    One that was just enabled begins with its next slot, or with the present minute's: cron has come
    for that one, and the next may be a day away.
    """
    options, due_after = config.job(job), state["due_after"] if state else None
    if state and state["paused_at"]:
        return None
    if not options.enabled:
        if due_after != OFF:
            # rules that were off count as changed (engines/guard.py)
            db.upsert("job_state", {"job": job.name}, {"due_after": OFF, "last_options": None})
        return None
    if state is None:
        note_first_seen(db, job.name, now)
        return None
    zone = _zone(config)
    slot = schedule.previous(options.schedule, now, zone)
    if due_after == OFF:
        after = slot - SECOND if now - slot < MINUTE else now
        db.upsert("job_state", {"job": job.name}, {"due_after": after})
        state["due_after"] = due_after = clock.text(after)
    return None if is_early(options.schedule, slot, due_after, now, zone) else slot


def state_of(job, slot, db, now) -> Due | None:
    """`reconcile` for one slot alone; a run that says `running` lives."""
    first = first_runs(db, [(job, slot)]).get(job.name)
    return reconcile(job, slot, db, now, first, lambda row: False)


def reconcile(job, slot, db, now, first: dict | None, is_dead) -> Due | None:
    """The slot against the runs that it had: it is due, is to be carried on, or is done (None).
    `first` is the run that it began with; `is_dead(row)`: the process of a `running` row."""
    if first is None:
        return Due(job, slot, "scheduled")
    if first["status"] == "ok":
        return None
    later = db.query(f"SELECT {COLUMNS} FROM {{job_runs}} WHERE job = :job AND id > :id"
                     " AND trigger_type = 'continue' AND status <> 'skipped' ORDER BY id",
                     job=job.name, id=first["id"])
    runs = [first, *later]
    last = runs[-1]
    if last["status"] == "failed":
        failures = sum(run["status"] == "failed" for run in runs)
        goes_on = (failures <= len(RETRIES)
                   and now >= (stored.time(last["finished_at"]) or now) + RETRIES[failures - 1])
    elif last["status"] == "running":
        goes_on = is_dead(last)
    else:
        goes_on = last["status"] in UNFINISHED and not _waits(last, db)
    return Due(job, slot, "continue") if goes_on else None


def _waits(run: dict, db) -> bool:
    """Whether it left something for a doubt that lasts: the next tick would do the same."""
    return ((run["stop_reason"] or "").startswith(doubt.IN_DOUBT)
            and doubt.stored_doubt(db) is not None)


def note_first_seen(db, job: str, now) -> None:
    """Store that a job came with a new version of the bundle: nothing older than `now` is due."""
    db.upsert("job_state", {"job": job}, {"due_after": now})


COLUMNS = ("id, job, status, stop_reason, started_at, finished_at, installation, lock_name, "
           "lease_until")


def first_runs(db, slots: list) -> dict[str, dict]:
    """{job: the run that its slot began with}, in one query for all of them."""
    if not slots:
        return {}
    either = " OR ".join(f"(job = :job{at} AND slot = :slot{at})" for at in range(len(slots)))
    values = {f"job{at}": job.name for at, (job, _) in enumerate(slots)}
    values.update({f"slot{at}": slot for at, (_, slot) in enumerate(slots)})
    return {row["job"]: row for row in db.query(f"SELECT {COLUMNS} FROM {{job_runs}} "
                                                f"WHERE {either}", **values)}


def is_early(when, slot, due_after: str | None, now, zone) -> bool:
    """Whether the slot is from before the job's slots count. A `due_after` beyond the next slot was
    written by a clock that was wrong, and counts as not set."""
    after = stored.time(due_after)
    if after is None or slot > after:
        return due_after == OFF
    return after <= now or after <= schedule.following(when, now, zone)


def _ordered(config, db, now, found: list[Due], states: dict, budget: float) -> list[Due]:
    """The due jobs in the order to start them (`_rank`), each with `late` and `cut`."""
    # then urgent jobs can go first in each tick without keeping the others away
    is_roomy = budget >= ROOMY * _least(config.section("core").grace)
    ranked = []
    for due in found:
        last = db.row("SELECT status, stop_reason, started_at FROM {job_runs} WHERE job = :job "
                      "AND status <> 'skipped' ORDER BY id DESC LIMIT 1", job=due.job.name)
        died = last is not None and last["status"] in ("timeout", "vanished", "running")
        spent_budget = last is not None and last["stop_reason"] == "budget"
        due_after = states[due.job.name]["due_after"]
        due = due._replace(late=_lateness(config, due, now, last, due_after),
                           cut=died or spent_budget)
        ranked.append((_rank(due, is_roomy, died), due))
    return [due for _, due in sorted(ranked, key=lambda pair: pair[0])]


def _rank(due: Due, is_roomy: bool, died: bool) -> tuple:
    """What due jobs are sorted by; the smallest starts first.

    Urgent ones first, where the budget leaves others enough; then those that are very late: a day,
    or an hour where the budget is small; then by priority and lateness. One that hung or died goes
    behind all others until then.
    """
    goes_first = is_roomy and due.job.priority == PRIORITIES[0]
    is_very_late = due.late > (DAY if is_roomy else HOUR)
    return (due.job.priority == LAST, died and not is_very_late, not (goes_first or is_very_late),
            PRIORITIES.index(due.job.priority), -due.late, due.job.name)


def _lateness(config, due: Due, now, last: dict | None, due_after: str | None) -> timedelta:
    """Since how long the job could have run. The latest slot alone would never be later than the
    schedule's step."""
    if due.trigger == "continue" and last:
        return now - (stored.time(last["started_at"]) or now)
    return now - first_missed(config.job(due.job).schedule, due.slot, last, due_after,
                              _zone(config))


def first_missed(when, slot, last: dict | None, due_after: str | None, zone):
    """The first slot since the last run's start that was not started; `slot` is the latest."""
    since = max(filter(None, (stored.time(last and last["started_at"]), stored.time(due_after))),
                default=None)
    return min(schedule.following(when, since, zone), slot) if since else slot


def _zone(config):
    return schedule.zone(config.section("core").timezone)


def _least(grace: timedelta) -> float:
    return max(LEAST_SECONDS, WITH_GRACE - grace.total_seconds())


class Shares:
    """How one tick divides its seconds among the due jobs.

    While others are due, a job leaves them what they usually take, and half of the time that is
    left at most. So one that always has more work than time, such as webhooks to deliver by the
    hundred thousand, keeps none away for long: what the time does not suffice for goes first once
    it is a day late.
    """

    def __init__(self, db, budget: float, grace: timedelta, found: list[Due]) -> None:
        self._db, self._full = db, min(_least(grace), budget)
        self._unknown = budget * UNKNOWN
        self._waiting = [due for due in found if due.job.priority != LAST]
        self._needed: dict = {}

    def begin(self, due: Due, left: float, is_first: bool) -> float | None:
        """The job gets its turn: seconds that it may use of what is left; None where these are too
        few to begin it."""
        if due.job.priority == LAST:
            return max(left, LAST_SECONDS)
        needed = self._needs(due)
        if left < needed and not is_first:
            return None
        self._waiting.remove(due)
        others = sum(self._full if each.job.priority == PRIORITIES[0] else self._needs(each)
                     for each in self._waiting)
        share = max(left - min(left / 2, others), needed) if self._waiting else left
        return max(share, 1.0)

    def _needs(self, due: Due) -> float:
        """Seconds: what it usually takes; one that had more work than time has more now."""
        if due.cut:
            return self._full
        name = due.job.name
        if name not in self._needed:
            # an idle tick needs none of it
            from . import history

            usual = history.usual_seconds(self._db, name)
            self._needed[name] = self._unknown if usual is None else usual
        return min(self._full, self._needed[name])
