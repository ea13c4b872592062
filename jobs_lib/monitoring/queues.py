"""How the queues fare: what waits, since when, and what came of the last day."""
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

QueueHealth = namedtuple("QueueHealth", "name job what depth due oldest_due_at uncertain_last_day "
                         "done_last_day failed_last_day tried_last_day last_done_at stalled_since")
QueueHealth.__doc__ = """One queue. Times are aware UTC or None.

depth            rows that are not finished               due   those whose time has come; COUNTED of them, or more
oldest_due_at    since when the longest waiting is due    uncertain_last_day  lost in flight by the runs of the last day
done_last_day    finished well by the runs of the last day; `failed_last_day`: for good; `tried_last_day`: all attempts
last_done_at     start of the last run, within a day, that finished something well
stalled_since    = oldest_due_at, when that was missed for two intervals and nothing was finished since
"""
# done, failed: counts of the job
Kind = namedtuple("Kind", "name job what table done failed")
KINDS = (
    Kind("forwards", "retry_forwards", "forwarded mail", "failed_emails", ("sent",), ("failed",)),
    Kind("notifications", "send_notifications", "notices", "notifications", ("sent",), ("failed",)),
    Kind("webhooks", "retry_webhooks", "webhook deliveries", "webhook_deliveries", ("delivered",),
         ("failed",)),
    Kind("exports", "export_accounts", "exports", "export_requests", ("exported",), ("failed",)),
    Kind("domains", "check_domains", "domains to check", "domains", ("checked",), ()),
)
ENGINES = {"failed_emails": mail_queues.forwards, "notifications": mail_queues.notices,
           "webhook_deliveries": deliveries.queue}
DAY = timedelta(days=1)
RUNS_A_DAY = 400
TRIED = ("retried", "uncertain", "given_back", "put_off")
INVALID = "invalid"             # rows that nothing could be done with, and so failed
STALLED_INTERVALS = 2


def queues(db, config, jobs, now, health: dict) -> dict:
    """{name: QueueHealth} of the queues whose job is there. `health`: {job: JobHealth}."""
    by_name = {job.name: job for job in jobs}
    counted = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = {}
    for kind in KINDS:
        if kind.job in by_name:
            job, options = by_name[kind.job], config.job(by_name[kind.job])
            if options.enabled or kind.name != "domains":
                # nobody waits for a look that is not meant to be
                found[kind.name] = _queue(db, kind, options, health[kind.job], now,
                                          shards.names(kind.job, config.shards(job)), counted)
    return found


def _queue(db, kind: Kind, options, job, now, names: list[str], counted: int) -> QueueHealth:
    if kind.table in ENGINES:
        view = SimpleNamespace(db=db, now=now, options=options)
        due, oldest = DueRows(view, ENGINES[kind.table](view)).oldest_due(counted)
        depth = unfinished(db, kind.table)
    elif kind.table == "domains":
        due, oldest = _domains(db, now)
        depth = due
    else:
        due, oldest = _exports(db)
        depth = due
    done, failed, tried, lost, last = _day(db, kind, now, names)
    since = stored.time(oldest)
    stalled = since is not None and (last is None or last
                                     < since) and now - since > STALLED_INTERVALS * job.interval
    return QueueHealth(kind.name, kind.job, kind.what, depth, due, since, lost, done, failed, tried,
                       last, since if stalled else None)


def in_words(number: int) -> str:
    """A count for people: `12,345`, or `10,000+` where no more were counted."""
    return f"{number:,}+" if number >= COUNTED else f"{number:,}"


def unfinished(db, table: str) -> int:
    """How many rows are: one status at a time, so that an index alone tells it, a million in some
    100 ms."""
    return sum(db.value(f"SELECT COUNT(*) AS number FROM {{{table}}} WHERE status = :status",
                        status=status) for status in ("pending", "sending"))


def _exports(db) -> tuple[int, str | None]:
    row = db.row(f"SELECT COUNT(*) AS number, {_oldest('requested_at')} FROM {{export_requests}}"
                 " WHERE status = 'queued'", dawn=clock.FIRST)
    return row["number"], row["since"] and str(row["since"])


def _domains(db, now) -> tuple[int, str | None]:
    dawn = clock.FIRST
    rows = [db.row(f"SELECT COUNT(*) AS number, {_oldest('recheck_requested_at')} FROM {{domains}}"
                   f" WHERE recheck_requested_at <= :now{ACTIVE}", now=now, dawn=dawn)]
    rows += [db.row(f"SELECT COUNT(*) AS number, {_oldest('next_check_at')} FROM {{domains}} "
                    "WHERE status = :status"
                    f" AND next_check_at <= :now AND recheck_requested_at IS NULL{ACTIVE}",
                    status=status, now=now, dawn=dawn)
             for status in ("pending", "verified", "failed")]
    rows += [db.row(f"SELECT COUNT(*) AS number, {_oldest('created_at')} FROM {{domains}} "
                    "WHERE status = :status"
                    f" AND next_check_at IS NULL AND recheck_requested_at IS NULL{ACTIVE}",
                    status=status, dawn=dawn) for status in ("pending", "verified")]
    return sum(row["number"] for row in rows), min((str(row["since"]) for row in rows
                                                    if row["since"]), default=None)


def _oldest(column: str) -> str:
    """SQL: the first time in a column. One that is none, such as 0000-00-00, does not hide since
    when others wait."""
    return f"MIN(CASE WHEN {column} >= :dawn THEN {column} END) AS since"


def _day(db, kind: Kind, now, names: list[str]) -> tuple:
    """(finished well, failed for good, attempts, lost in flight, when last something was finished),
    by the runs of a day."""
    done = failed = tried = lost = 0
    last = None
    for row in db.query("SELECT started_at, counts FROM {job_runs} WHERE job IN (:jobs) "
                        "AND started_at >= :since"
                        " AND started_at <= :now ORDER BY id DESC LIMIT :most", jobs=names,
                        since=now - DAY, now=now, most=RUNS_A_DAY * len(names)):
        counts = stored.counts(row["counts"])
        good, bad, again = (sum(stored.count(counts, name) for name in names)
                            for names in (kind.done, (*kind.failed, INVALID), TRIED))
        done, failed, tried = done + good, failed + bad, tried + good + bad + again
        lost += stored.count(counts, "uncertain")
        if good and last is None:
            last = stored.time(row["started_at"])
    return done, failed, tried, lost, last
