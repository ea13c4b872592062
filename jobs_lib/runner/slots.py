"""Which jobs are due: their latest slot has no run yet, or has one that is to be carried on.

Work is chosen by "due and not done", never by "now is the minute": a cron that stalls or comes
rarely changes the hour alone. A tick that finds nothing ends here: keep its imports few.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.errors import ConfigError
from jobs_lib.records import namedtuple

Due = namedtuple("Due", "job slot trigger last since needs", defaults=({}, None, 0.0))
Due.__doc__ = """A due job: its slot, and whether the run is `scheduled`, or is to `continue` an
earlier one; how the job's last run ended; since when it waits; and the seconds that it takes to be
worth a start (launch/order.py)."""

# a slot that ended so is carried on
UNFINISHED = ("partial", "timeout", "interrupted", "vanished")
RETRIES = (timedelta(minutes=15), timedelta(hours=1))  # of a slot that failed
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# `due_after` while `enabled = no`: to be switched on again fires nothing old
OFF = "9999-12-31 00:00:00"
STATE = "SELECT job, paused_at, due_after FROM {job_state}"


def due_slots(config, ports, jobs) -> tuple[list[Due], list[str]]:
    """(the due jobs, what is wrong in sections of others). DatabaseError without a database."""
    db, now = _database(ports), ports.now()
    states = {row["job"]: row for row in db.query(STATE)}
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

    first, zone = first_runs(db, wanted), config.zone()
    found = [due for job, slot in wanted
             if (due := reconcile(job, slot, db, now, first.get(job.name), is_dead))]
    return [_waiting(due, config, db, states[due.job.name], zone) for due in found], problems


def slot_of(config, ports, job):
    """As `prepare_slot`, for this job alone."""
    db = _database(ports)
    return prepare_slot(config, job, db, ports.now(),
                        db.row(f"{STATE} WHERE job = :job", job=job.name))


def _database(ports):
    db = ports.database()
    version.check(db)
    return db


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


def trigger_of(job, slot, db, now) -> str | None:
    """What a run of this slot is: `scheduled`, or `continue`; None where the slot is done. A run
    that says `running` lives."""
    first = first_runs(db, [(job, slot)]).get(job.name)
    due = reconcile(job, slot, db, now, first, lambda row: False)
    return due and due.trigger


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
    from . import doubt  # an idle tick needs none of it
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


def _waiting(due: Due, config, db, state: dict, zone) -> Due:
    """The same, with the job's last run, and since when it waits."""
    from . import history  # an idle tick needs none of it

    last = history.last_run(db, due.job.name)
    since = stored.time(last.get("started_at"))
    if due.trigger == "scheduled":
        since = first_missed(config.job(due.job).schedule, due.slot, last, state["due_after"], zone)
    return due._replace(last=last, since=since)


def first_missed(when, slot, last: dict, due_after: str | None, zone):
    """The first slot since the last run's start that was not started; `slot`: the latest."""
    times = stored.time(last.get("started_at")), stored.time(due_after)
    since = max(filter(None, times), default=None)
    return min(schedule.following(when, since, zone), slot) if since else slot
