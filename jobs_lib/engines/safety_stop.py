"""Safety stops: a deletion that is too large to be intended waits until an operator confirms it.

Too large is more than a number of rows (or files, accounts, archives) and more than a share of all.
`--yes` confirms it once. A retention that was shortened is noticed by what it was at the last good
run, which `job_state` remembers for each job, with what was confirmed.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.config.option_types import show_duration
from jobs_lib.errors import JobsError

MOST_ROWS, MOST_SHARE = 10_000, 0.5     # what may be deleted without being confirmed
CONFIRM = "Nothing was deleted. If this is intended, run"       # in each sentence
NEVER = timedelta(days=999_999)         # the retention `off`, as a number


class SafetyStop(JobsError):
    """A deletion is too large to be intended, and nobody has confirmed it."""


def unconfirmed(ctx, what: str, going: int, total: int, *, why: str, fix: str, how: str = "",
                most: int | None = None, share: float = MOST_SHARE,
                reported: bool = True) -> str | None:
    """Why the run must not delete these, in a sentence; None when they are few, or confirmed.

    what   of which `going` out of `total` would be deleted, such as "rows of sessions"
    why    what makes it so many             fix   what to do if it is a mistake
    how    to confirm it, besides `--yes`    most  and `share`: what needs no confirmation
    reported  whether an earlier run has reported it: nothing else can be confirmed
    """
    if going <= (MOST_ROWS if most is None else most) or going <= share * total:
        return None
    if ctx.confirmed and reported:
        return None
    return (f"{going:,} of {total:,} {what} would be deleted: {why}. {CONFIRM} "
            f"`jobs.py {ctx.job.name} --yes` once{how}; if not, {fix}")


def confirm(ctx, what: str, going: int, total: int, **more) -> str | None:
    """SafetyStop when `unconfirmed` has something to say; a dry run gets the sentence instead."""
    reason = unconfirmed(ctx, what, going, total, **more)
    if reason and not ctx.dry_run:
        refuse(ctx, reason)
    return reason


def refuse(ctx, reason: str) -> None:
    """Log why the run stops, and raise it as SafetyStop."""
    ctx.log.error("safety stop", error=reason)
    raise SafetyStop(reason)


def would_stop(reason: str | None) -> str:
    """The note in a dry run for a step that `confirm` would not let pass."""
    return f"a run would stop: {reason}" if reason else ""


class RetentionGuard:
    """The retentions of a job, beside those of its last good run.

    `limits` is {name: timedelta}. `names` has what a limit is called, where it is no option of this
    job: `[other_job] keep`. `last` has all that is remembered: seconds by option, and numbers by
    names that no option has.
    """

    def __init__(self, ctx, limits: dict, names: dict | None = None) -> None:
        from jobs_lib.database.stored import memory

        self.ctx, self.names = ctx, names or {}
        self.limits = {name: int(limit.total_seconds()) for name, limit in limits.items()}
        self.row = ctx.db.row("SELECT last_options FROM {job_state} WHERE job = :job",
                              job=ctx.job.name)
        self.last: dict = memory(self.row["last_options"]) if self.row else {}

    def confirm(self, table: str, count) -> str | None:
        """`confirm` for the rows of a table, where a retention was shortened; `count()` is how many
        would be deleted. `--yes` stores the new ones at once, for the next runs too."""
        if self.ctx.confirmed and not self.ctx.dry_run:
            self.store()
        change = self.shortened()
        if self.ctx.confirmed or not change:
            return None
        total = self.ctx.db.value(f"SELECT COUNT(*) FROM {{{table}}}")
        return confirm(self.ctx, f"rows of {table}", count(), total, **change)

    def shortened(self) -> dict:
        """`why`, `how` and `fix` for `confirm`, when a retention is shorter than it was."""
        changes = self._changes(lambda seconds, last: seconds < last)
        return {"why": changes, "fix": "correct the option",
                "how": ", with the same --set if there was one"} if changes else {}

    def _changes(self, is_changed) -> str:
        changes = [f"{self.names.get(name) or f'[{self.ctx.job.name}] {name}'} is "
                   f"{_text(seconds)}, it was {_text(self.last[name])}"
                   for name, seconds in self.limits.items()
                   if name in self.last and is_changed(seconds, self.last[name])]
        return f"{', '.join(changes)} at the last good run" if changes else ""

    def store(self, **numbers: int) -> None:
        """Remember these retentions, and these numbers."""
        new = {**self.limits, **numbers}
        if all(self.last.get(name) == number for name, number in new.items()):
            return
        import json

        self.last.update(new)
        text, db, job = json.dumps(self.last), self.ctx.db, self.ctx.job.name
        if self.row is None:
            # never due before this moment, like any job that is seen first
            db.upsert("job_state", {"job": job}, {"last_options": text, "due_after": self.ctx.now})
        else:
            db.execute("UPDATE {job_state} SET last_options = :text WHERE job = :job", text=text,
                       job=job)


def _text(seconds: int) -> str:
    length = timedelta(seconds=seconds)
    return "off" if length == NEVER else show_duration(length)
