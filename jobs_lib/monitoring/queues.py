"""The queues: what waits, since when, and the results of the last day."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.engines.due import COUNTED
from jobs_lib.features.items import QUEUES

# counts of a run, besides what its queue calls done; `invalid`: what could not be read, and so
# failed
FAILED, TRIED = ("failed", "invalid"), ("retried", "uncertain", "postponed", "put_off")
STALLED_INTERVALS = 2
DAY = timedelta(days=1)


def queues(db, config, able, now, jobs: dict, day: int) -> list[dict]:
    """The queues of the jobs that are `able` to run. `jobs`: as job_facts.py has them; `day`: the
    first id of the runs of the last day. Numbers of the last day are those of its runs.

    depth               rows that are not finished; as many are counted as of due ones
    due                 those whose time has come; COUNTED or more are not counted to the end
    oldest_due_at       since when the longest waiting is due; `oldest_due_seconds`: how long
    uncertain_last_day  lost in flight
    done_last_day       succeeded; `failed_last_day`: given up; `tried_last_day`: all attempts
    stalled_since       oldest_due_at, if two intervals have passed since and nothing succeeded
    holds               sentences: why those that are due wait all the same
    """
    names = {job.name for job in able}
    most = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = []
    for name, kind in QUEUES.items():
        job = kind.queue.job
        # nobody waits for the next check of a domain while checks are disabled
        if kind.done and job in names and (jobs[job]["enabled"] or name != "domains"):
            items = kind(db, config, now)
            depth, due, oldest = items.backlog(most)
            since, results = stored.time(oldest), results_of(items, day)
            last_done = results.pop("last_done")
            waits = int((now - since).total_seconds()) if since else 0
            is_stalled = ((last_done is None or last_done < since)
                          and waits > STALLED_INTERVALS * jobs[job]["interval_seconds"]
                          if since else False)
            found.append({"name": name, "job": job, "what": items.what, "depth": depth, "due": due,
                          "oldest_due_at": since, "oldest_due_seconds": max(0, waits), **results,
                          "stalled_since": since if is_stalled else None,
                          "holds": items.holds() if due else []})
    return found


def results_of(items, day: int) -> dict:
    """What the runs of the last day have done, and `last_done`: the start of the last one that
    succeeded with an item."""
    totals, latest, now = dict.fromkeys(("done", "failed", "uncertain", "tried"), 0), 0, items.now
    # grouped, since most runs have found nothing to do
    for row in items.db.query(
            "SELECT counts, COUNT(*) AS number, MAX(id) AS latest FROM {job_runs} WHERE job = :job "
            "AND id >= :day AND started_at >= :since AND started_at <= :now GROUP BY counts",
            job=items.queue.job, day=day, since=now - DAY, now=now):
        counts = results(stored.counts(row["counts"]), items)
        for name, number in counts.items():
            totals[name] += number * row["number"]
        if counts["done"]:
            latest = max(latest, row["latest"])
    last = latest and items.db.value("SELECT started_at FROM {job_runs} WHERE id = :id", id=latest)
    return {"last_done": stored.time(last) if last else None,
            **{f"{name}_last_day": number for name, number in totals.items()}}


def results(counts: dict, kind) -> dict[str, int]:
    """What the counts of a run say of the items of its queue. `kind`: of features/items/."""
    done, failed, again, uncertain = (
        sum(stored.count(counts, name) for name in names)
        for names in ((kind.done,), FAILED, TRIED, ("uncertain",)))
    return {"done": done, "failed": failed, "uncertain": uncertain,
            "tried": done + failed + again}
