"""The state of the queues: what waits, since when, and the results of the last day."""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import clock, shards
from jobs_lib.database import stored
from jobs_lib.engines import mail_queues
from jobs_lib.engines.due_rows import COUNTED, DueRows
from jobs_lib.features.domains.check import ACTIVE
from jobs_lib.features.webhooks import deliveries

# done, failed: counts of the job
Queue = namedtuple("Queue", "name job what table done failed")
QUEUES = (
    Queue("forwards", "retry_forwards", "forwarded mail", "failed_emails", ("sent",), ("failed",)),
    Queue("notifications", "send_notifications", "notices", "notifications", ("sent",),
          ("failed",)),
    Queue("webhooks", "retry_webhooks", "webhook deliveries", "webhook_deliveries", ("delivered",),
          ("failed",)),
    Queue("exports", "export_accounts", "exports", "export_requests", ("exported",), ("failed",)),
    Queue("domains", "check_domains", "domains to check", "domains", ("checked",), ()),
)
ENGINES = {"failed_emails": mail_queues.forwards, "notifications": mail_queues.notices,
           "webhook_deliveries": deliveries.queue}
DAY = timedelta(days=1)
RUNS_A_DAY = 400
TRIED = ("retried", "uncertain", "given_back", "put_off")
INVALID = "invalid"             # rows that could not be read, and so failed
STALLED_INTERVALS = 2


class QueueHealth(namedtuple("QueueHealth", "name job what depth due oldest_due_at "
                             "uncertain_last_day done_last_day failed_last_day tried_last_day "
                             "stalled_since")):
    """One queue. Times are aware UTC or None; numbers of the last day are those of its runs.

    depth               rows that are not finished
    due                 those whose time has come; COUNTED or more are not counted to the end
    oldest_due_at       since when the longest waiting is due
    uncertain_last_day  lost in flight
    done_last_day       succeeded; `failed_last_day`: given up; `tried_last_day`: all attempts
    stalled_since       oldest_due_at, if two intervals have passed since and nothing succeeded
    """

    __slots__ = ()

    def oldest_due_seconds(self, now) -> int:
        """How long the longest waiting has been due; 0 if nothing is."""
        return max(0, int((now - self.oldest_due_at).total_seconds())) if self.oldest_due_at else 0


def queues(db, config, jobs, now, health: dict) -> dict:
    """{name: QueueHealth} of the queues whose job is there. `health`: {job: JobHealth}."""
    by_name = {job.name: job for job in jobs}
    most = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = {}
    for queue in QUEUES:
        job = by_name.get(queue.job)
        # nobody waits for the next check of a domain while checks are disabled
        if job and (config.job(job).enabled or queue.name != "domains"):
            depth, due, oldest = _waiting(db, queue, config.job(job), now, most)
            names = shards.names(job.name, config.shards(job))
            found[queue.name] = _health(db, queue, depth, due, stored.time(oldest), now, names,
                                        health[job.name].interval)
    return found


def _waiting(db, queue: Queue, options, now, most: int) -> tuple:
    """(rows that are not finished, those that are due, since when the oldest is)."""
    if queue.table in ENGINES:
        view = SimpleNamespace(db=db, now=now, options=options)
        due, oldest = DueRows(view, ENGINES[queue.table](view)).oldest_due(most)
        return unfinished(db, queue.table), due, oldest
    due, oldest = _domains(db, now) if queue.table == "domains" else _exports(db)
    return due, due, oldest


def _health(db, queue: Queue, depth: int, due: int, since, now, names, interval) -> QueueHealth:
    done, failed, tried, lost, last_done = _day(db, queue, now, names)
    stalled = (since is not None and (last_done is None or last_done < since)
               and now - since > STALLED_INTERVALS * interval)
    return QueueHealth(queue.name, queue.job, queue.what, depth, due, since, lost, done, failed,
                       tried, since if stalled else None)


def unfinished(db, table: str) -> int:
    """How many rows are: one status at a time, so that an index alone answers, a million rows in
    some 100 ms."""
    return sum(db.value(f"SELECT COUNT(*) AS number FROM {{{table}}} WHERE status = :status",
                        status=status) for status in ("pending", "sending"))


def _exports(db) -> tuple[int, str | None]:
    return _added_up([_due(db, "export_requests", "requested_at", "status = 'queued'")])


def _domains(db, now) -> tuple[int, str | None]:
    """A statement for each index: domains that somebody asked to check, then by their status."""
    asked = _due(db, "domains", "recheck_requested_at", f"recheck_requested_at <= :now{ACTIVE}",
                 now=now)
    by_time = [_due(db, "domains", "next_check_at", "status = :status AND next_check_at <= :now"
                    f" AND recheck_requested_at IS NULL{ACTIVE}", status=status, now=now)
               for status in ("pending", "verified", "failed")]
    never_checked = [_due(db, "domains", "created_at", "status = :status AND next_check_at IS NULL"
                          f" AND recheck_requested_at IS NULL{ACTIVE}", status=status)
                     for status in ("pending", "verified")]
    return _added_up([asked, *by_time, *never_checked])


def _due(db, table: str, column: str, where: str, **values) -> dict:
    """`number` of rows, and `since`: the earliest valid time in the column. 0000-00-00 hides no
    other."""
    oldest = f"MIN(CASE WHEN {column} >= :earliest THEN {column} END)"
    return db.row(f"SELECT COUNT(*) AS number, {oldest} AS since FROM {{{table}}} WHERE {where}",
                  earliest=clock.FIRST, **values)


def _added_up(rows: list[dict]) -> tuple[int, str | None]:
    oldest = min((str(row["since"]) for row in rows if row["since"]), default=None)
    return sum(row["number"] for row in rows), oldest


def _day(db, queue: Queue, now, names: list[str]) -> tuple:
    """(succeeded, given up, attempts, lost in flight, start of the last run that succeeded with
    one), by the runs of a day."""
    done = failed = tried = lost = 0
    last = None
    for row in db.query("SELECT started_at, counts FROM {job_runs} WHERE job IN (:jobs) "
                        "AND started_at >= :since AND started_at <= :now "
                        "ORDER BY id DESC LIMIT :most", jobs=names, since=now - DAY, now=now,
                        most=RUNS_A_DAY * len(names)):
        counts = stored.counts(row["counts"])
        good, bad, again = (sum(stored.count(counts, name) for name in names)
                            for names in (queue.done, (*queue.failed, INVALID), TRIED))
        done, failed, tried = done + good, failed + bad, tried + good + bad + again
        lost += stored.count(counts, "uncertain")
        if good and last is None:
            last = stored.time(row["started_at"])
    return done, failed, tried, lost, last
