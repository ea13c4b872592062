"""Whether the host's clock and the database can be trusted: asked once, as each recorded run
begins, with one SELECT.

*The clock* is in doubt where the first time that this job should have run is past by more than
`[core] max_clock_jump` and nothing ran since, or where the newest run lies that far ahead. Then
nothing is deleted, switched off or given up by its age, until the clock is back where it was, or 72
hours after a gap that cron may have been away for, or until `jobs.py resume all`.

*The database* was restored from a backup where it lacks a run that a later run had found committed:
`state_dir/witness` names one. Then no job but ALERTS does anything, until `jobs.py resume all`:
what it has as waiting may have been sent before, and a new notice would get the id of such a one.

A doubt is one row in `meta`, for all jobs and hosts: `clock|<trusted time>|<since>`.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.database import stored
from jobs_lib.records import namedtuple

from . import incident_files

IN_DOUBT = "in doubt: "  # how the stop reason of a run begins
IN_DATABASE = f"{IN_DOUBT}the database"
PAGE = "docs/operate.md, After a restore"
DOUBT = "doubt"  # in `meta`
ACCEPTED = "accepted"  # in `meta`: when `resume all` ended it
CLOCK, RESTORED = "clock", "restored"
ALERTS = "check_jobs"           # the job that sends alerts, and changes nothing of the app's
STEADY = timedelta(hours=72)  # without a further jump, cron was only away
LONGEST_GAP = timedelta(days=60)  # that cron may have been away for
APART = timedelta(minutes=15)   # what a clock may be set by
AHEAD = timedelta(days=1)       # where [core] max_clock_jump is off
WITNESS = "witness"

Doubt = namedtuple("Doubt", "what trusted since")
Doubt.__doc__ = """`what`: CLOCK or RESTORED. `trusted`: the last time that was right. `since`: by
the clock of the run that found it."""
Known = namedtuple("Known", "doubt memory")
Known.__doc__ = "The Doubt, or None; and what earlier runs of the job remember (engines/guard.py)."
Seen = namedtuple("Seen", "run_id at database")
Seen.__doc__ = "What the witness says: a run that was in this database, and when it began."

FIND = """SELECT
    (SELECT run_id FROM {job_runs} WHERE id > 0 AND run_id <> :run ORDER BY id DESC LIMIT 1)
     AS newest_run,
    (SELECT started_at FROM {job_runs} WHERE id > 0 AND run_id <> :run ORDER BY id DESC LIMIT 1)
     AS newest,
    (SELECT MAX(started_at) FROM {job_runs} WHERE started_at < :before) AS earlier,
    (SELECT started_at FROM {job_runs} WHERE job = :job AND status <> 'skipped' AND run_id <> :run
     ORDER BY id DESC LIMIT 1) AS last_start,
    (SELECT 1 FROM {job_runs} WHERE job = :job AND slot IS NOT NULL AND run_id <> :run LIMIT 1)
     AS has_slots,
    (SELECT COUNT(*) FROM {job_runs} WHERE run_id = :witness) AS is_there,
    (SELECT value FROM {meta} WHERE name = 'doubt') AS doubt,
    (SELECT value FROM {meta} WHERE name = 'accepted') AS accepted,
    (SELECT value FROM {meta} WHERE name = 'database_id') AS database_id,
    (SELECT due_after FROM {job_state} WHERE job = :job) AS due_after,
    (SELECT paused_at FROM {job_state} WHERE job = :job) AS paused_at,
    (SELECT last_options FROM {job_state} WHERE job = :job) AS memory"""


def look(db, config, job, result: dict, store: bool) -> Known:
    """What is in doubt for this run, and what the job remembers. With `store` the next run knows
    what was found."""
    core, now = config.section("core"), result["started_at"]
    path = os.path.join(core.state_dir, WITNESS)
    seen, most = _read_witness(path), core.max_clock_jump
    row = db.row(FIND, run=result["run_id"], job=job.name,
                 before=now - (most or AHEAD), witness=seen.run_id if seen else "")
    newest, known = stored.time(row["newest"]), parse(row["doubt"])
    found = known
    if known is None or known.what == CLOCK:
        if seen and _is_lost(seen, row, config, now):
            found = Doubt(RESTORED, newest or seen.at, now)
        elif newest:
            missed = _first_missed(config, job, row, now)
            found = _of_clock(known, row, newest, now, most, missed)
    if store:
        if found != known:
            _store(db, found)
        if newest and newest > now + APART:
            # a clock that was ahead took slots: nothing would run when they come
            db.execute("UPDATE {job_runs} SET slot = NULL WHERE slot > :ahead", ahead=now + APART)
        if newest and (found is None or found.what == CLOCK):
            # no fsync: a power cut may take the run that it names, too
            incident_files.write(path, now, "|".join(
                str(row[name]) for name in ("newest_run", "newest", "database_id")))
    return Known(found, stored.document(row["memory"]))


def stored_doubt(db) -> Doubt | None:
    """What the last run that looked has found."""
    return parse(db.value("SELECT value FROM {meta} WHERE name = :name", name=DOUBT))


def accept(db, now) -> None:
    """End the doubt: all is right, as it is now."""
    _store(db, None)
    db.upsert("meta", {"name": ACCEPTED}, {"value": clock.text(now)})


def sentence(found: Doubt, now) -> str:
    """The doubt, as the stop reason of a run."""
    if found.what == RESTORED:
        since = f"{found.trusted:%Y-%m-%d %H:%M} UTC"
        return (f"{IN_DATABASE} lacks a run of which this host knows, "
                "as after a restored backup. What was sent since "
                f"{since} would be sent again: cancel that first, "
                "then `jobs.py resume all`; until then no job but "
                f"{ALERTS} does anything ({PAGE})")
    until = ""
    if _may_be_cron(found):
        until = f" until {found.since + STEADY:%Y-%m-%d %H:%M} UTC,"
    return (f"{IN_DOUBT}the clock says {now:%Y-%m-%d %H:%M} UTC, and the last run before it "
            f"jumped began at {found.trusted:%Y-%m-%d %H:%M} UTC: nothing is deleted or given up "
            f"by its age until the clock is back,{until} or until `jobs.py resume all`")


def parse(text) -> Doubt | None:
    """The Doubt that a row of `meta` holds; None for what is none."""
    what, *times = text.split("|") if isinstance(text, str) else [""]
    known = [time for time in map(stored.time, times) if time]
    if what in (CLOCK, RESTORED) and len(known) == len(times) == 2:
        return Doubt(what, *known)
    return None


# The clock

def _of_clock(known, row: dict, newest, now, most, missed) -> Doubt | None:
    """The doubt about the clock, `most` being the option."""
    if most is None:
        return None
    is_late = missed is not None and now - missed > most
    has_jumped = newest - now > most or (is_late and now - newest > most)
    if known is None:
        if has_jumped:
            return Doubt(CLOCK, newest, now)
        # another job, which had missed nothing, may have been the first one after a jump
        earlier = stored.time(row["earlier"])
        if is_late and earlier and earlier < missed:
            return Doubt(CLOCK, earlier, now)
        return None
    if abs(now - known.trusted) <= most:
        return None  # it is back where it was
    if has_jumped:
        return known._replace(since=now)
    is_steady = now - known.since >= STEADY
    return None if is_steady and _may_be_cron(known) else known


def _may_be_cron(found: Doubt) -> bool:
    """Whether cron may only have been away, and the clock was always right."""
    return timedelta(0) < found.since - found.trusted <= LONGEST_GAP


def _first_missed(config, job, row: dict, now):
    """The first time that this job should have run and did not, or None: it missed none, is paused
    or disabled, or only a person ever ran it."""
    if row["paused_at"] or not row["has_slots"]:
        return None
    accepted = stored.time(row["accepted"])
    since = max(filter(None, (stored.time(row["last_start"]), stored.time(row["due_after"]),
                              accepted if accepted and accepted <= now else None)), default=now)
    zone = config.zone()
    first = schedule.following(config.job(job).schedule, since, zone)
    return first if first <= now else None


# A restored backup

def _is_lost(seen: Seen, row: dict, config, now) -> bool:
    """Whether a run of this database is missing that no purge has deleted."""
    if row["is_there"] or seen.database != row["database_id"]:
        return False
    keep = config.job_named("purge_job_history").keep
    was_purged = keep is not None and seen.at < now - keep
    return not was_purged and (row["accepted"] or "") < clock.text(seen.at)


def _read_witness(path: str) -> Seen | None:
    try:
        with open(path, encoding="utf-8") as file:
            run_id, at, database = file.read().strip().split("|")
    except (OSError, ValueError):
        return None  # the first run; or of no use, and written again
    moment = clock.parse_any(at)
    return Seen(run_id, moment, database) if moment else None


def _store(db, found: Doubt | None) -> None:
    if found is None:
        db.execute("DELETE FROM {meta} WHERE name = :name", name=DOUBT)
    else:
        words = found.what, clock.text(found.trusted), clock.text(found.since)
        db.upsert("meta", {"name": DOUBT}, {"value": "|".join(words)})
