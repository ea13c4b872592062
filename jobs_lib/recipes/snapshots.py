"""Header snapshots that are due to go: their log row is gone, or past the time that headers are kept.

Which they are is told by the log rows alone, so each run reads all of the index by log id, in windows that no
statement leaves. A snapshot goes by its id, only after a consistent read has found it due: an app writes a row and
its headers in one transaction, and such a read sees both or neither.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from . import log_retention
from .retention import MOST_ROWS, MOST_SHARE, Known, SafetyStop, delete
from .selection import Arm
from .walk import Walk

TABLE = "header_snapshots"
WINDOW = 5_000               # snapshots in a window: some milliseconds
CHOICES_AT_ONCE = 100        # users' own retentions in one condition
SAMPLE_ROWS = 5
ORPHANS = "orphans"

Part = namedtuple("Part", "name sql values")
Part.__doc__ = "One condition for snapshots that go; no snapshot fulfils two. `name`: counted under this name too."

# The second half says nothing new, but whichever way a subquery is run, it reads no more rows than these.
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


class Due:
    """All that is due, counted once by `count_all` before anything goes."""

    table = TABLE

    def __init__(self, ctx, keep: timedelta | None) -> None:
        self.ctx, self.parts, self.cutoffs = ctx, [Part(ORPHANS, _no_log(), {})], []
        self.past: list[Part] = []          # by the deployment's retention alone
        if keep is not None:
            before = ctx.now - keep
            self.past = [Part("", _log("{message_logs}.created_at < :before"), {"before": before})]
            self.parts += [*self.past, *_own_parts(ctx, keep, before)]
            self.cutoffs = [before]
        self.found = [0] * len(self.parts)

    def count_all(self) -> bool:
        """Look at every snapshot; False if there was no time for that."""
        for first, last in self._windows():
            for number, part in enumerate(self.parts):
                self.found[number] += Window(part, first, last).count(self.ctx.db)
        return not self.ctx.should_stop()

    def counts(self) -> dict:
        """What a run would end with."""
        limit = self.ctx.limit
        return {name: number if limit is None else min(number, limit)
                for name, number in (("deleted", sum(self.found)), (ORPHANS, self.found[0]))}

    def count(self, db) -> int:
        """How many are past the deployment's retention: for the safety stop."""
        return sum(number for number, part in zip(self.found, self.parts) if part in self.past)

    def windows(self):
        """What the walk goes over. Orphans first, as their number was judged first."""
        for number, part in enumerate(self.parts):
            if self.found[number]:
                for first, last in self._windows():
                    yield Window(part, first, last)

    def sample(self) -> list[dict]:
        """A few of them."""
        columns, rows = ", ".join(self.ctx.job.sample), []
        for window in self.windows():
            rows += self.ctx.db.query(f"SELECT {columns} FROM {{{TABLE}}} WHERE {window.sql} ORDER BY message_log_id"
                                      " LIMIT :most", **window.values, most=SAMPLE_ROWS)
            if len(rows) >= SAMPLE_ROWS:
                break
        return rows[:SAMPLE_ROWS]

    def _windows(self):
        """(first, last) log id of some thousand snapshots each, up to the last one that is there now."""
        db = self.ctx.db
        first = db.value(f"SELECT MIN(message_log_id) FROM {{{TABLE}}}")
        end = db.value(f"SELECT MAX(message_log_id) FROM {{{TABLE}}}")
        while first is not None and first <= end and not self.ctx.should_stop():
            last = db.value(f"SELECT message_log_id FROM {{{TABLE}}} WHERE message_log_id >= :first_log"
                            " ORDER BY message_log_id LIMIT 1 OFFSET :most", first_log=first, most=WINDOW - 1)
            last = end if last is None else min(last, end)
            yield first, last
            first = db.value(f"SELECT MIN(message_log_id) FROM {{{TABLE}}} WHERE message_log_id > :last_log",
                             last_log=last)


def purge(ctx, keep: timedelta | None, words: str) -> dict:
    """Delete what is due. `keep` None: only what has no log row. `words`: what `keep` is called."""
    due = Due(ctx, keep)
    known = Known(ctx, {} if keep is None else {"keep": keep}, {"keep": words})
    if not due.count_all():
        return {"deleted": 0, ORPHANS: 0}
    trouble = _too_many_orphans(due, known)
    if ctx.dry_run:
        counts, trouble = due.counts(), trouble or known.trouble(due)
        ctx.show(f"delete {counts['deleted']:,} row{'s' * (counts['deleted'] != 1)} of {TABLE}", due.sample(),
                 f"a run would stop: {trouble}" if trouble else "")
        return counts
    if trouble and not ctx.confirmed:
        ctx.log.error("purge stopped", table=TABLE, reason="not confirmed", error=trouble)
        raise SafetyStop(trouble)
    if trouble:
        known.limits[ORPHANS] = due.found[0]        # for the next runs too, if this one cannot finish
    known.check(due)
    counts = {"deleted": 0, ORPHANS: 0}
    delete(ctx, Walk(ctx, TABLE), due.windows(), counts, sum(due.found), due.cutoffs)
    if not ctx.should_stop():
        if ORPHANS in known.last:
            known.limits[ORPHANS] = 0
        known.store()
    return counts


def _too_many_orphans(due: Due, known: Known) -> str | None:
    """Why the run must not go on: a log that was lost, or another database's, makes all headers look forsaken."""
    orphans = due.found[0]
    if orphans <= max(MOST_ROWS, known.last.get(ORPHANS, 0)):
        return None
    rows = due.ctx.db.value(f"SELECT COUNT(*) FROM {{{TABLE}}}")
    if orphans <= MOST_SHARE * rows:
        return None
    return (f"{orphans:,} of {rows:,} rows of {TABLE} have no row in message_logs, which looks like a wrong or an "
            f"empty table of logs. Nothing was deleted. If they are to go, run `jobs.py {due.ctx.job.name} --yes` once")


def _no_log() -> str:
    return f"NOT EXISTS (SELECT 1 FROM {{message_logs}} WHERE {ITS_LOG})"


def _log(condition: str, more: str = "") -> str:
    return f"EXISTS (SELECT 1 FROM {{message_logs}}{more} WHERE {ITS_LOG} AND {condition})"


def _own_parts(ctx, keep: timedelta, ours):
    """Of users with a shorter retention of their own: what is past that and not past ours."""
    choices = list(log_retention.shorter(ctx.db, keep))
    for start in range(0, len(choices), CHOICES_AT_ONCE):
        some = choices[start:start + CHOICES_AT_ONCE]
        values = {"ours": ours}
        terms = []
        for number, days in enumerate(some):
            values[f"days{number}"], values[f"before{number}"] = days, ctx.now - log_retention.own(days, keep)
            terms.append(f"log_retention_days = :days{number} AND {{message_logs}}.created_at < :before{number}")
        yield Part("", _log(f"{{message_logs}}.created_at >= :ours AND ({' OR '.join(terms)})",
                            " JOIN {users} ON {users}.id = {message_logs}.user_id"), values)
