"""Header snapshots that are due to go: their log row is gone, or past the time that headers are
kept.

Which they are is told by the log rows alone, so a run goes over the index by log id, in windows
that no statement leaves, and deletes what it finds in one before it looks at the next: what is due
lies mostly at the beginning, and a run that cannot finish has come further all the same. A snapshot
goes by its id, only after a consistent read has found it due: an app writes a row and its headers
in one transaction, and such a read sees both or neither.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from jobs_lib.chunks import chunked
from jobs_lib.database.values import ordered
from jobs_lib.engines.batch_delete import Walk
from jobs_lib.engines.purge import MOST_ROWS, MOST_SHARE, Known, delete_all, refuse
from jobs_lib.engines.selection import Arm

from . import retention

TABLE = "header_snapshots"
WINDOW = 5_000               # snapshots in a window: some milliseconds
CHOICES_AT_ONCE = 100        # users' own retentions in one condition
SAMPLE_ROWS = 5
# counting orphans before anything goes takes a third of a run at most, if all looks well
TIME_SHARE = 3
ORPHANS, CONFIRMED = "orphans", "confirmed_orphans"

Part = namedtuple("Part", "name sql values")
Part.__doc__ = "One condition for snapshots that go; no snapshot fulfils two. `name`: counted under this name too."

# The second half says nothing new, but whichever way a subquery is run, it reads no more rows than
# these.
ITS_LOG = ("{message_logs}.id = {header_snapshots}.message_log_id"
           " AND {message_logs}.id BETWEEN :first_log AND :last_log")


class Window:
    """The snapshots of a range of log ids that fulfil one condition: a Selection for the walk."""

    listed = True

    def __init__(self, part: Part, first: int, last: int) -> None:
        self.counted = part.name
        self.sql = f"message_log_id BETWEEN :first_log AND :last_log AND {part.sql}"
        self.arms = [Arm(self.sql, "message_log_id")]
        self.values = {**part.values, "first_log": first, "last_log": last}

    def count(self, db) -> int:
        """How many they are."""
        return db.value(f"SELECT COUNT(*) FROM {{{TABLE}}} WHERE {self.sql}", **self.values)

    def sample(self, ctx) -> list[dict]:
        """A few of them."""
        return ctx.db.query(f"SELECT {', '.join(ctx.job.sample)} FROM {{{TABLE}}} WHERE {self.sql}"
                            " ORDER BY message_log_id LIMIT :most", **self.values, most=SAMPLE_ROWS)


class Due:
    """All that is due, in windows of log ids."""

    def __init__(self, ctx, keep: timedelta | None) -> None:
        self.ctx, self.parts, self.cutoffs = ctx, [Part(ORPHANS, _no_log(), {})], []
        self.past: list[Part] = []          # by the deployment's retention alone
        if keep is not None:
            before = ctx.now - keep
            self.past = [Part("", _log("{message_logs}.created_at < :before"), {"before": before})]
            self.parts += [*self.past, *_own_parts(ctx, keep, before)]
            self.cutoffs = [before]

    def count_past(self) -> int:
        """How many are past the deployment's retention: for the safety stop."""
        number = 0
        for first, last in spans(self.ctx):
            number += sum(Window(part, first, last).count(self.ctx.db) for part in self.past)
            self.ctx.progress(0)
        return number

    def windows(self, before_each):
        """What the walk goes over, after `before_each(last log id)`."""
        for first, last in spans(self.ctx):
            before_each(last)
            for part in self.parts:
                yield Window(part, first, last)

    def show(self, trouble: str | None) -> dict:
        """Show what a run would delete, and count it as far as `--limit` lets it go."""
        from jobs_lib.engines.dry_run import tell

        ctx, counts = self.ctx, {"deleted": 0, ORPHANS: 0}
        rows: list[dict] = []
        for window in self.windows(lambda _: ctx.progress(counts["deleted"])):
            number = window.count(ctx.db)
            if ctx.limit is not None:
                number = min(number, ctx.limit - counts["deleted"])
            counts["deleted"] += number
            if window.counted:
                counts[window.counted] += number
            if number and len(rows) < SAMPLE_ROWS:
                rows += window.sample(ctx)
            if counts["deleted"] == ctx.limit:
                break
        tell(ctx, TABLE, counts["deleted"], rows[:SAMPLE_ROWS], trouble)
        return counts


class Orphans:
    """How many there are, counted window by window, always before any of the window is deleted.

    They are too many when they are more than half of the snapshots that were passed, and more than
    may go unasked. A table so large that counting it takes most of a run is judged by its
    beginning, and again while the walk goes on.
    """

    def __init__(self, ctx, unasked: int) -> None:
        self.ctx, self.unasked = ctx, unasked
        self.found = self.passed = 0
        self.end = None
        self.all_seen = False
        self._spans = spans(ctx)

    def too_many(self) -> bool:
        """As far as was counted."""
        return self.found > self.unasked and self.found > MOST_SHARE * self.passed

    def begin(self) -> str | None:
        """Count all, or what a part of the time allows. Why the run must not go on, in a
        sentence."""
        until = self.ctx.monotonic() + self.ctx.seconds_left() / TIME_SHARE
        self._count(lambda: self.ctx.monotonic() > until
                    and (self.ctx.confirmed or not self.too_many()))
        return self._words("Nothing was") if self.too_many() else None

    def go_on(self, last: int, deleted: int) -> str | None:
        """The same as far as that log id, and further as long as they are too many."""
        if ordered(last) <= ordered(self.end):
            return None
        self._count(lambda: ordered(self.end) >= ordered(last) and not self.too_many(), deleted)
        return self._words(f"{deleted:,} rows were") if self.too_many() else None

    def _count(self, enough, deleted: int = 0) -> None:
        for first, last in self._spans:
            window, everything = (Window(Part("", sql, {}), first, last) for sql in (_no_log(),
                                                                                     "1 = 1"))
            self.found += window.count(self.ctx.db)
            self.passed += everything.count(self.ctx.db)
            self.end = last
            self.ctx.progress(deleted)
            if enough():
                return
        self.all_seen = not self.ctx.should_stop()

    def _words(self, gone: str) -> str:
        """A log that was lost, or another database's, makes all headers look forsaken."""
        return (f"{self.found:,} of {'' if self.all_seen else 'the first '}{self.passed:,} rows of "
                f"{TABLE} have no row in message_logs, which looks like a wrong or an empty table "
                f"of logs. {gone} deleted. If they are to go, run `jobs.py {self.ctx.job.name} "
                "--yes` once")


def spans(ctx):
    """(first, last) log id of some thousand snapshots each, up to the last one that is there at the
    beginning."""
    db = ctx.db
    # The database compares, never we: SQLite keeps text and octets where numbers belong.
    first = db.value(f"SELECT MIN(message_log_id) FROM {{{TABLE}}}")
    end = db.value(f"SELECT MAX(message_log_id) FROM {{{TABLE}}}")
    while first is not None and not ctx.should_stop():
        last = db.value(f"SELECT message_log_id FROM {{{TABLE}}} "
                        "WHERE message_log_id BETWEEN :first_log AND :end"
                        " ORDER BY message_log_id LIMIT 1 OFFSET :most", first_log=first, end=end,
                        most=WINDOW - 1)
        last = end if last is None else last
        yield first, last
        first = db.value(f"SELECT MIN(message_log_id) FROM {{{TABLE}}} "
                         "WHERE message_log_id > :last_log"
                         " AND message_log_id <= :end", last_log=last, end=end)


def purge(ctx, keep: timedelta | None, words: str) -> dict:
    """Delete what is due. `keep` None: only what has no log row. `words`: what `keep` is called."""
    due, counts = Due(ctx, keep), ctx.counts
    counts.update({"deleted": 0, ORPHANS: 0})
    if not ctx.may_expire():
        return counts
    known = Known(ctx, {} if keep is None else {"keep": keep}, {"keep": words})
    orphans = Orphans(ctx, max(MOST_ROWS, known.last.get(CONFIRMED, 0)))
    trouble = orphans.begin()
    if ctx.dry_run:
        return due.show(trouble or known.trouble(TABLE, due.count_past))
    if trouble and not ctx.confirmed:
        refuse(ctx, TABLE, trouble)
    known.check(TABLE, due.count_past)
    if ctx.should_stop():
        ctx.log.warning("no time to delete: a shorter keep is counted first", table=TABLE)
    if trouble:                         # for the next runs too, if this one cannot finish
        known.store(**{CONFIRMED: orphans.found if orphans.all_seen else _all(ctx.db)})

    def judge(last: int) -> None:
        ctx.progress(counts["deleted"])
        trouble = None if ctx.confirmed else orphans.go_on(last, counts["deleted"])
        if trouble:
            refuse(ctx, TABLE, trouble)

    delete_all(ctx, Walk(ctx, TABLE), due.windows(judge), counts, None, due.cutoffs)
    if not ctx.should_stop():
        known.store(**({CONFIRMED: 0} if CONFIRMED in known.last else {}))
    return counts


def _all(db) -> int:
    return db.value(f"SELECT COUNT(*) FROM {{{TABLE}}}")


def _no_log() -> str:
    return f"NOT EXISTS (SELECT 1 FROM {{message_logs}} WHERE {ITS_LOG})"


def _log(condition: str, more: str = "") -> str:
    return f"EXISTS (SELECT 1 FROM {{message_logs}}{more} WHERE {ITS_LOG} AND {condition})"


def _own_parts(ctx, keep: timedelta, ours):
    """Of users with a shorter retention of their own: what is past that and not past ours."""
    for some in chunked(list(retention.shorter(ctx.db, keep)), CHOICES_AT_ONCE):
        values = {"ours": ours}
        terms = []
        for number, days in enumerate(some):
            values[f"days{number}"], values[f"before{number}"] = days, ctx.now - retention.own(days,
                                                                                               keep)
            terms.append(f"log_retention_days = :days{number} "
                         f"AND {{message_logs}}.created_at < :before{number}")
        yield Part("", _log(f"{{message_logs}}.created_at >= :ours AND ({' OR '.join(terms)})",
                            " JOIN {users} ON {users}.id = {message_logs}.user_id"), values)
