"""The queues, gathered, and their state: what waits, since when, and the results of the last
day."""
from __future__ import annotations

from collections import Counter
from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.engines.due import COUNTED
from jobs_lib.features.items import QUEUES
from jobs_lib.records import namedtuple

# counts of a run, besides what its queue calls done; `invalid`: what could not be read, and so
# failed
FAILED, TRIED = ("failed", "invalid"), ("retried", "uncertain", "postponed", "put_off")
STALLED_INTERVALS = 2
DAY = timedelta(days=1)


class QueueFacts(namedtuple("QueueFacts", "name job what depth due oldest_due_at "
                            "uncertain_last_day done_last_day failed_last_day tried_last_day "
                            "stalled_since holds")):
    """One queue. Times are aware UTC or None; numbers of the last day are those of its runs.

    depth               rows that are not finished; as many are counted as of due ones
    due                 those whose time has come; COUNTED or more are not counted to the end
    oldest_due_at       since when the longest waiting is due
    uncertain_last_day  lost in flight
    done_last_day       succeeded; `failed_last_day`: given up; `tried_last_day`: all attempts
    stalled_since       oldest_due_at, if two intervals have passed since and nothing succeeded
    holds               sentences: why those that are due wait all the same
    """

    __slots__ = ()

    def oldest_due_seconds(self, now) -> int:
        """How long the longest waiting has been due; 0 if nothing is."""
        return max(0, int((now - self.oldest_due_at).total_seconds())) if self.oldest_due_at else 0


def queues(db, config, jobs, now, intervals: dict, day: int) -> dict:
    """{name: QueueFacts} of the queues whose job is there. `intervals`: {job: between two runs};
    `day`: the first id of the runs of the last day."""
    by_name = {job.name: job for job in jobs}
    most = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = {}
    for name, kind in QUEUES.items():
        job = by_name.get(kind.queue.job)
        # nobody waits for the next check of a domain while checks are disabled
        if kind.done and job and (config.job(job).enabled or name != "domains"):
            items = kind(db, config, now)
            depth, due, oldest = items.backlog(most)
            since, results = stored.time(oldest), _results(items, day)
            last_done = results.pop("last_done")
            is_stalled = (since is not None and (last_done is None or last_done < since)
                          and now - since > STALLED_INTERVALS * intervals[job.name])
            found[name] = QueueFacts(name, job.name, items.what, depth, due, since,
                                     stalled_since=since if is_stalled else None,
                                     holds=items.holds() if due else [], **results)
    return found


def _results(items, day: int) -> dict:
    """What the runs of the last day have done, and `last_done`: the start of the last one that
    succeeded with an item."""
    totals: Counter = Counter()
    latest, now = 0, items.now
    # grouped, since most runs have found nothing to do
    for row in items.db.query(
            "SELECT counts, COUNT(*) AS number, MAX(id) AS latest FROM {job_runs} WHERE job = :job "
            "AND id >= :day AND started_at >= :since AND started_at <= :now GROUP BY counts",
            job=items.queue.job, day=day, since=now - DAY, now=now):
        counts = stored.counts(row["counts"])
        done, failed, again, uncertain = (
            sum(stored.count(counts, name) for name in names) * row["number"]
            for names in ((items.done,), FAILED, TRIED, ("uncertain",)))
        totals.update(done=done, failed=failed, uncertain=uncertain, tried=done + failed + again)
        latest = max(latest, row["latest"]) if done else latest
    last = latest and items.db.value("SELECT started_at FROM {job_runs} WHERE id = :id", id=latest)
    return {"last_done": stored.time(last) if last else None,
            **{f"{name}_last_day": totals[name] for name in ("done", "failed", "tried",
                                                             "uncertain")}}
