"""The queues, gathered, and their state: what waits, since when, and the results of the last
day."""
from __future__ import annotations

from collections import Counter
from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.engines.due import COUNTED
from jobs_lib.engines.items import Items, view
from jobs_lib.features.items import QUEUES
from jobs_lib.records import namedtuple

WATCHED = tuple(items for items in QUEUES if items.done)        # their jobs say what was done
TRIED = ("retried", "uncertain", "postponed", "put_off")
INVALID = "invalid"             # rows that could not be read, and so failed
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
    for items in WATCHED:
        queue = items.queue
        job = by_name.get(queue.job)
        # nobody waits for the next check of a domain while checks are disabled
        if job and (config.job(job).enabled or queue.name != "domains"):
            ctx = view(db, config, now, config.job(job))
            depth, due, oldest = items.backlog(ctx, most)
            since, results = stored.time(oldest), _results(db, items, now, day)
            last_done = results.pop("last_done")
            is_stalled = (since is not None and (last_done is None or last_done < since)
                          and now - since > STALLED_INTERVALS * intervals[job.name])
            found[queue.name] = QueueFacts(queue.name, queue.job, items.what, depth, due, since,
                                           stalled_since=since if is_stalled else None,
                                           holds=_holds(items, ctx) if due else [], **results)
    return found


def _holds(items: Items, ctx) -> list[str]:
    from jobs_lib import masking  # a relay's answer may quote an address
    return [masking.text(words) for words in items.holds(ctx)]


def _results(db, items: Items, now, day: int) -> dict:
    """What the runs of the last day have done, and `last_done`: the start of the last one that
    succeeded with an item."""
    totals, latest = Counter({f"{name}_last_day": 0 for name in (
        "done", "failed", "tried", "uncertain")}), 0
    # grouped, since most runs have found nothing to do
    for row in db.query("SELECT counts, COUNT(*) AS number, MAX(id) AS latest FROM {job_runs} "
                        "WHERE job = :job AND id >= :day AND started_at >= :since "
                        "AND started_at <= :now GROUP BY counts", job=items.queue.job, day=day,
                        since=now - DAY, now=now):
        counts = stored.counts(row["counts"])
        done, failed, again, uncertain = (
            sum(stored.count(counts, name) for name in names) * row["number"]
            for names in (items.done, (*items.failed, INVALID), TRIED, ("uncertain",)))
        totals.update(done_last_day=done, failed_last_day=failed, uncertain_last_day=uncertain,
                      tried_last_day=done + failed + again)
        latest = max(latest, row["latest"]) if done else latest
    last = latest and db.value("SELECT started_at FROM {job_runs} WHERE id = :id", id=latest)
    return {**totals, "last_done": stored.time(last) if last else None}
