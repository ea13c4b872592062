"""Which jobs are due: their latest slot has no run yet, or has one that is to be carried on.

Work is chosen by "due and not done", never by "now is the minute": a cron that stalls or comes
rarely changes the hour alone. A tick that finds nothing ends here: keep its imports few.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.catalogue import LAST, PRIORITIES
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError
from jobs_lib.records import namedtuple

from . import doubt

Due = namedtuple("Due", "job slot trigger needs reserved", defaults=(0.0, 0.0))
Due.__doc__ = """A due job: its slot, and whether the run is `scheduled`, or is to `continue` an
earlier one. `needs`: seconds, to be worth a start; `reserved`: what others leave it."""

# a slot that ended so is carried on
UNFINISHED = ("partial", "timeout", "interrupted", "vanished")
RETRIES = (timedelta(minutes=15), timedelta(hours=1))  # of a slot that failed
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# `due_after` while `enabled = no`: to be switched on again fires nothing old
OFF = "9999-12-31 00:00:00"
# Seconds that much work needs to get anywhere: mail begins no message with less than 60 to the hard
# limit, behind the grace.
WITH_GRACE, LEAST_SECONDS = 80.0, 30.0
UNKNOWN = 0.25                  # of the budget, to begin a job that nothing is known of
ROOMY = 4                       # times that: two urgent jobs leave enough for others
LAST_SECONDS = 20.0             # for the job that looks at all others


def due_slots(config, ports, jobs, budget: float) -> tuple[list[Due], list[str]]:
    """(the due jobs in the order to start them, what is wrong in sections of others). `budget`:
    seconds for all of them."""
    db, now = ports.database(), ports.now()
    states = {row["job"]: row for row in db.query(
        "SELECT job, paused_at, due_after FROM {job_state}")}
    wanted, problems = [], []
    for job in jobs:
        try:
            if slot := prepare_slot(config, job, db, now, states.get(job.name)):
                wanted.append((job, slot))
        except ConfigError as error:  # one job's mistake stops no other
            problems += error.problems

    def is_dead(row: dict) -> bool:
        from . import history
        return history.is_dead(db, row, config.section("core"), now)

    first = first_runs(db, wanted)
    found = [due for job, slot in wanted
             if (due := reconcile(job, slot, db, now, first.get(job.name), is_dead))]
    return _ordered(config, db, now, found, states, budget) if found else [], problems


def prepare_slot(config, job, db, now, state: dict | None):
    """The latest slot of the job's schedule; None where it does not count: the job is paused,
    disabled, or was not known then. `state`: its row of `job_state`, which is brought up to date.

    One that was just enabled begins with its next slot, or with that of this minute: cron has come
    for it, and the next may be a day away.
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
    zone = config.zone()
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
    """The slot against its runs: it is due, is to be carried on, or is done (None). `first`: the
    run that it began with; `is_dead(row)`: the process of a `running` row."""
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
    elif (last["stop_reason"] or "").startswith(doubt.IN_DOUBT):
        # while the doubt lasts, the next tick would do the same
        goes_on = doubt.stored_doubt(db) is None
    else:
        goes_on = last["status"] in UNFINISHED
    return Due(job, slot, "continue") if goes_on else None


def note_first_seen(db, job: str, now) -> None:
    """Store that a job is new: nothing older than `now` is due."""
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
    """Whether the slot is from before the job's slots count. A wrong clock has written a
    `due_after` beyond the next slot: it counts as not set."""
    after = stored.time(due_after)
    if after is None or slot > after:
        return due_after == OFF
    return after <= now or after <= schedule.following(when, now, zone)


def _ordered(config, db, now, found: list[Due], states: dict, budget: float) -> list[Due]:
    """The due jobs in the order to start them, each with what it needs.

    Urgent ones first, where the budget leaves others enough; then those very late: by a day, or an
    hour where it is small; then by priority and lateness. One that has hung or died goes behind all
    others until then.
    """
    from . import history  # an idle tick needs none of it

    grace, zone = config.section("core").grace.total_seconds(), config.zone()
    least = max(LEAST_SECONDS, WITH_GRACE - grace)
    full, is_roomy = min(least, budget), budget >= ROOMY * least
    ranked = []
    for due in found:
        job, last = due.job, history.last_run(db, due.job.name)
        is_urgent, is_last = job.priority == PRIORITIES[0], job.priority == LAST
        has_died = last.get("status") in ("timeout", "vanished", "running")
        needs = full  # where it had more work than time, it has more now
        if not (is_last or has_died or last.get("stop_reason") == "budget"):
            usual = history.usual_seconds(db, job.name)
            needs = min(full, budget * UNKNOWN if usual is None else usual)
        began = stored.time(last.get("started_at"))
        if due.trigger == "scheduled":
            began = first_missed(config.job(job).schedule, due.slot, last,
                                 states[job.name]["due_after"], zone)
        late = now - (began or now)
        is_very_late = late > (DAY if is_roomy else HOUR)
        goes_first = is_very_late or (is_roomy and is_urgent)
        rank = (is_last, has_died and not is_very_late, not goes_first,
                PRIORITIES.index(job.priority), -late, job.name)
        reserved = 0.0 if is_last else full if is_urgent else needs
        ranked.append((rank, due._replace(needs=needs, reserved=reserved)))
    return [due for _, due in sorted(ranked, key=lambda pair: pair[0])]


def share(due: Due, behind: list[Due], left: float, is_first: bool) -> float | None:
    """Seconds that a due job may use of what is left; None where these are too few to begin it.

    It leaves those behind it what they usually take, and half of the time at most. So one that
    always has more work than time keeps none away for long: what the time does not suffice for goes
    first once it is a day late.
    """
    if due.job.priority == LAST:
        return max(left, LAST_SECONDS)
    if left < due.needs and not is_first:
        return None
    others = sum(each.reserved for each in behind)
    return max(left - min(left / 2, others), due.needs, 1.0)


def first_missed(when, slot, last: dict, due_after: str | None, zone):
    """The first slot since the last run's start that was not started; `slot`: the latest."""
    times = stored.time(last.get("started_at")), stored.time(due_after)
    since = max(filter(None, times), default=None)
    return min(schedule.following(when, since, zone), slot) if since else slot
