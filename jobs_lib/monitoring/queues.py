"""The queues, gathered, and their state: what waits, since when, and the results of the last
day."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.engines.claimed_queue import ClaimedQueue
from jobs_lib.engines.work_queue import COUNTED, WorkQueue, view
from jobs_lib.features.accounts import work_queue as deletions
from jobs_lib.features.domains import work_queue as domains
from jobs_lib.features.exports import work_queue as exports
from jobs_lib.features.forwards import work_queue as forwards
from jobs_lib.features.notifications import work_queue as notifications
from jobs_lib.features.webhooks import work_queue as webhooks
from jobs_lib.records import namedtuple

# whose rows are claimed: these can be replayed and cancelled
CLAIMED: tuple[ClaimedQueue, ...] = (forwards.QUEUE, notifications.QUEUE, webhooks.QUEUE)
QUEUES: tuple[WorkQueue, ...] = (*CLAIMED, exports.QUEUE, domains.QUEUE, deletions.QUEUE)
WATCHED = tuple(queue for queue in QUEUES if queue.done)        # their jobs say what was done
DAY = timedelta(days=1)
RUNS_A_DAY = 400
TRIED = ("retried", "uncertain", "given_back", "put_off")
INVALID = "invalid"             # rows that could not be read, and so failed
STALLED_INTERVALS = 2


class QueueHealth(namedtuple("QueueHealth", "name job what depth due oldest_due_at "
                             "uncertain_last_day done_last_day failed_last_day tried_last_day "
                             "stalled_since")):
    """One queue. Times are aware UTC or None; numbers of the last day are those of its runs.

    depth               rows that are not finished; as many are counted as of due ones
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


def named(name: str) -> WorkQueue:
    """The queue of that name, such as `forwards`."""
    return next(queue for queue in QUEUES if queue.name == name)


def claimed(name: str) -> ClaimedQueue:
    """The same, of those that can be replayed and cancelled."""
    return next(queue for queue in CLAIMED if queue.name == name)


def queues(db, config, jobs, now, health: dict) -> dict:
    """{name: QueueHealth} of the queues whose job is there. `health`: {job: JobHealth}."""
    by_name = {job.name: job for job in jobs}
    most = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = {}
    for queue in WATCHED:
        job = by_name.get(queue.job)
        # nobody waits for the next check of a domain while checks are disabled
        if job and (config.job(job).enabled or queue.name != "domains"):
            depth, due, oldest = queue.backlog(view(db, config, now, config.job(job)), most)
            found[queue.name] = _health(db, queue, depth, due, stored.time(oldest), now,
                                        health[job.name].interval)
    return found


def _health(db, queue: WorkQueue, depth: int, due: int, since, now, interval) -> QueueHealth:
    done, failed, tried, lost, last_done = _day(db, queue, now)
    stalled = (since is not None and (last_done is None or last_done < since)
               and now - since > STALLED_INTERVALS * interval)
    return QueueHealth(queue.name, queue.job, queue.what, depth, due, since, lost, done, failed,
                       tried, since if stalled else None)


def _day(db, queue: WorkQueue, now) -> tuple:
    """(succeeded, given up, attempts, lost in flight, start of the last run that succeeded with
    one), by the runs of a day."""
    done = failed = tried = lost = latest = 0
    # grouped, since most runs have found nothing to do
    for row in db.query("SELECT counts, COUNT(*) AS number, MAX(id) AS latest FROM "
                        "(SELECT id, counts FROM {job_runs} WHERE job = :job "
                        "AND started_at >= :since AND started_at <= :now "
                        "ORDER BY id DESC LIMIT :most) runs GROUP BY counts", job=queue.job,
                        since=now - DAY, now=now, most=RUNS_A_DAY):
        good, bad, again, uncertain = (number * row["number"] for number in _results(
            queue, stored.counts(row["counts"])))
        done, failed, tried = done + good, failed + bad, tried + good + bad + again
        lost += uncertain
        latest = max(latest, row["latest"]) if good else latest
    last = latest and db.value("SELECT started_at FROM {job_runs} WHERE id = :id", id=latest)
    return done, failed, tried, lost, stored.time(last) if last else None


def _results(queue: WorkQueue, counts: dict) -> list[int]:
    """Succeeded, given up, put off and lost in flight, of one run."""
    return [sum(stored.count(counts, name) for name in names)
            for names in (queue.done, (*queue.failed, INVALID), TRIED, ("uncertain",))]
