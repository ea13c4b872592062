"""The two queues of mail as the engine sees them: each has to know the other's, since they share
the relay's limits.

A run that finds nothing due ends here and loads nothing that sends: keep the imports few.
"""
from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import schedule
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.ports.mail.message import MESSAGE_MINIMUM

from .due_rows import DueRows, Queue
from .old_queue import QueueClaims
from .old_turns import LOW, NORMAL, URGENT, Rank
from .recovery import recover
from .work_queue import COUNTED

# times of its schedule without a run, after which a job is not waited for
MISSED = 3
FORWARDS, NOTICES = "failed_emails", "notifications"
# how long a notice of each class waits for more urgent ones at most
WAITS = {NORMAL: timedelta(hours=6), LOW: timedelta(days=1)}
OF_FORWARDS = ("alias_id", "destination_id", "envelope_from", "envelope_to", "raw_path",
               "last_attempt_at", "last_error")
OF_NOTICES = ("kind", "persona", "to_email", "subject", "body_text", "body_html", "dedupe_key",
              "priority", "first_attempt_at", "last_attempt_at", "last_error")


def forwards(ctx) -> Queue:
    """The table `failed_emails` as a queue, on this job's schedule."""
    delays = ctx.options.delays
    return Queue(FORWARDS, "sent", delays, ("created_at <= :first", {"first": ctx.now - delays[0]}),
                 OF_FORWARDS, in_turns=True, notified=("told_at",))


def notices(ctx) -> Queue:
    """The table `notifications` as a queue: urgent ones first, then those that have waited too long
    for their class."""
    ranks = (Rank(URGENT), *(Rank(priority, wait) for priority, wait in WAITS.items()),
             Rank(NORMAL), Rank(LOW))
    return Queue(NOTICES, "sent", (timedelta(0), *ctx.options.delays), ("1 = 1", {}), OF_NOTICES,
                 ranks, in_turns=True)


def claims_if_due(ctx, queue: Queue) -> QueueClaims | None:
    """What a run claims the rows of the queue by, once what dead runs have left is put right; None
    where nothing is due.

    Raises JobsError for a run that is too short to begin any message.
    """
    longest = ctx.options.budget + ctx.section("core").grace
    if longest.total_seconds() <= MESSAGE_MINIMUM:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are {longest.seconds} "
                        f"seconds, and no message is begun with less than {MESSAGE_MINIMUM}: make "
                        "the budget longer")
    claims = QueueClaims(ctx, queue)
    return claims if recover(claims) and claims.due(1) else None


OTHER = {FORWARDS: ("send_notifications", notices), NOTICES: ("retry_forwards", forwards)}


def waiting(ctx, table: str, without: set) -> int:
    """How many rows are due in the other queue of mail than this `table`, those of the owners
    `without` left out; 0 where its job does not work it off."""
    job, queue = OTHER[table]
    try:
        options = ctx.options_of(job)
    except ConfigError:             # that job does not run until its options are corrected
        return 0
    if (not options.enabled or ctx.db.value("SELECT paused_at FROM {job_state} WHERE job = :job",
                                            job=job)
            or not _works(ctx, job, options)):
        return 0
    view = SimpleNamespace(db=ctx.db, now=ctx.now, options=options)
    return DueRows(view, queue(view)).count_due(COUNTED, without)


def _works(ctx, job: str, options) -> bool:
    """Whether a job's next run may be expected, and expected to send. Not when the last one failed
    or hung and sent nothing; nor when it has missed three times of its schedule, and ours has run
    since then without it."""
    row = ctx.db.row("SELECT status, counts, started_at FROM {job_runs} WHERE job = :job "
                     "AND status <> 'skipped' ORDER BY id DESC LIMIT 1", job=job)
    if row is None or row["status"] == "running":       # it is new, or at work
        return True
    if row["status"] in ("failed", "timeout") and not stored.counts(row["counts"]).get("sent"):
        return False
    limit = stored.time(row["started_at"]) or ctx.now
    zone = schedule.zone(ctx.section("core").timezone)
    for _ in range(MISSED):
        limit = schedule.following(options.schedule, limit, zone)
    latest = ctx.db.value("SELECT started_at FROM {job_runs} WHERE job = :job "
                          "AND status <> 'skipped' AND run_id <> :this ORDER BY id DESC LIMIT 1",
                          job=ctx.job.name, this=ctx.run_id)
    return not latest or (stored.time(latest) or limit) <= limit
