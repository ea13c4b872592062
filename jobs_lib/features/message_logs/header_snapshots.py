"""Header snapshots that are due: their log row is missing, or past the time that headers are kept.

The log rows alone decide which they are, so a run reads the index by log id, in windows that no
statement leaves, and deletes what it finds in one before it looks at the next: what is due is
mostly at the beginning, and a run that cannot finish has come further all the same. A snapshot is
deleted by its id, only after a consistent read has found it due: an app writes a row and its
headers in one transaction, and such a read sees both or neither.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database.values import chunked
from jobs_lib.engines import safety_stop
from jobs_lib.engines.batch_delete import BatchDeleter
from jobs_lib.engines.dry_run import SAMPLE_ROWS, show_deletion
from jobs_lib.engines.purge import delete_all
from jobs_lib.engines.selection import Branch
from jobs_lib.records import namedtuple

from . import retention

TABLE = "header_snapshots"
WINDOW = 5_000               # snapshots in a window: some milliseconds
CHOICES_AT_ONCE = 100        # users' own retentions in one condition
ORPHANS, CONFIRMED = "orphans", "confirmed_orphans"

Part = namedtuple("Part", "name sql values")
Part.__doc__ = """A condition for snapshots, counted under `name` too; none fulfils two of them."""

ITS_LOG = "{message_logs}.id = {header_snapshots}.message_log_id"
# This says nothing new, but whichever way a subquery is run, it reads no more rows than these. Not
# said of text, which two columns may have in different orders.
IN_WINDOW = " AND {message_logs}.id BETWEEN :first_log AND :last_log"


class Window:
    """The snapshots of a range of log ids that fulfil one condition: a Selection to delete."""

    listed = True

    def __init__(self, part: Part, first: int, last: int) -> None:
        self.counted = part.name
        self.sql = f"message_log_id BETWEEN :first_log AND :last_log AND {part.sql}"
        self.branches = [Branch(self.sql, "message_log_id")]
        self.values = {**part.values, "first_log": first, "last_log": last}

    def count(self, db) -> int:
        """How many snapshots are deleted."""
        return db.value(f"SELECT COUNT(*) FROM {{{TABLE}}} WHERE {self.sql}", **self.values)

    def sample(self, ctx) -> list[dict]:
        """A few of the snapshots, for a dry run."""
        return ctx.db.query(f"SELECT {', '.join(ctx.job.sample)} FROM {{{TABLE}}} WHERE {self.sql}"
                            " ORDER BY message_log_id LIMIT :most", **self.values, most=SAMPLE_ROWS)


def purge(ctx, keep: timedelta | None, name: str) -> dict:
    """Delete what is due. `keep` None: only what has no log row. `name`: what `keep` is called."""
    ctx.counts.update({"deleted": 0, ORPHANS: 0})
    if not ctx.may_expire():
        return ctx.counts
    past = [] if keep is None else [_past(ctx.db, ctx.now - keep)]
    parts = [_orphan(ctx.db), *past, *([] if keep is None else _own_parts(ctx, keep))]
    guard = safety_stop.RetentionGuard(ctx, {} if keep is None else {"keep": keep}, {"keep": name})
    unconfirmed = (_confirm_orphans(ctx, guard)
                   or guard.confirm(TABLE, lambda: sum(_count(ctx.db, part) for part in past)))
    if ctx.dry_run:
        return _preview(ctx, parts, unconfirmed)
    cutoffs = [] if keep is None else [ctx.now - keep]
    delete_all(ctx, BatchDeleter(ctx, TABLE), _windows(ctx, parts), None, cutoffs)
    if not ctx.should_stop():
        guard.store(**({CONFIRMED: 0} if CONFIRMED in guard.last else {}))
    return ctx.counts


def _confirm_orphans(ctx, guard) -> str | None:
    """A log that was lost, or another database's, makes all headers orphans. What `--yes` confirms
    holds for the next runs too, until one has finished."""
    orphans = _count(ctx.db, _orphan(ctx.db))
    most = max(safety_stop.MOST_ROWS, guard.last.get(CONFIRMED, 0))
    if orphans <= most:
        return None
    if ctx.confirmed and not ctx.dry_run:
        guard.store(**{CONFIRMED: orphans})
    return safety_stop.confirm(
        ctx, f"rows of {TABLE}", orphans, ctx.db.value(f"SELECT COUNT(*) FROM {{{TABLE}}}"),
        why="they have no row in message_logs, which looks like a wrong or an empty table of logs",
        fix="check [tables] message_logs", most=most)


def _preview(ctx, parts: list[Part], unconfirmed: str | None) -> dict:
    """Show what a run would delete, and count it as far as `--limit` lets it go."""
    rows: list[dict] = []
    for part in parts:
        number = ctx.within_limit(_count(ctx.db, part), ctx.counts["deleted"])
        ctx.count("deleted", number)
        if part.name:
            ctx.count(part.name, number)
        if number:
            rows += Window(part, *_ends(ctx.db)).sample(ctx)
    show_deletion(ctx, TABLE, ctx.counts["deleted"], rows[:SAMPLE_ROWS], unconfirmed)
    return ctx.counts


def _count(db, part: Part) -> int:
    """How many snapshots fulfil the condition."""
    return Window(part, *_ends(db)).count(db)


def _ends(db) -> tuple:
    """The first and the last log id of all snapshots."""
    # The database compares, never we: SQLite keeps text and octets where numbers belong.
    return tuple(db.value(f"SELECT {which}(message_log_id) FROM {{{TABLE}}}")
                 for which in ("MIN", "MAX"))


def _windows(ctx, parts: list[Part]):
    """A Window for each part and some thousand snapshots, up to the last one that is there at the
    beginning."""
    db = ctx.db
    first, end = _ends(db)
    while first is not None and not ctx.should_stop():
        last = db.value(f"SELECT message_log_id FROM {{{TABLE}}}"
                        " WHERE message_log_id BETWEEN :first_log AND :end"
                        " ORDER BY message_log_id LIMIT 1 OFFSET :most",
                        first_log=first, end=end, most=WINDOW - 1)
        last = end if last is None else last
        ctx.progress(ctx.counts["deleted"])
        for part in parts:
            yield Window(part, first, last)
        first = db.value(f"SELECT MIN(message_log_id) FROM {{{TABLE}}}"
                         " WHERE message_log_id > :last_log AND message_log_id <= :end",
                         last_log=last, end=end)


def _orphan(db) -> Part:
    """What has no log row."""
    return Part(ORPHANS, "NOT " + _log(db, "1 = 1"), {})


def _past(db, before) -> Part:
    """What is past the deployment's retention."""
    return Part("", _log(db, "{message_logs}.created_at < :before"), {"before": before})


def _own_parts(ctx, keep: timedelta):
    """Of users with a shorter retention of their own: what is past that and not past ours."""
    for some in chunked(retention.choices(ctx.db, keep), CHOICES_AT_ONCE):
        values = {"ours": ctx.now - keep}
        terms = []
        for number, days in enumerate(some):
            values[f"days{number}"] = days
            values[f"before{number}"] = ctx.now - retention.own(days, keep)
            compare = "<=" if days == retention.LEAST_DAYS else "="
            terms.append(f"log_retention_days {compare} :days{number} "
                         f"AND {{message_logs}}.created_at < :before{number}")
        theirs = f"{{message_logs}}.created_at >= :ours AND ({' OR '.join(terms)})"
        yield Part("", _log(ctx.db, theirs, " JOIN {users} ON {users}.id = {message_logs}.user_id"),
                   values)


def _log(db, condition: str, more: str = "") -> str:
    its = ITS_LOG if "message_logs" in db.text_keys else ITS_LOG + IN_WINDOW
    return f"EXISTS (SELECT 1 FROM {{message_logs}}{more} WHERE {its} AND {condition})"
