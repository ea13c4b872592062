"""Deleting what is old: one engine for every job that only removes rows by their age.

Such a job is an expression: which table, which rows, which column tells the age, which option how
long they are kept. A row exactly at the limit stays. "off" ends before any SQL. Rows go in short
batches (walk.py), the files that they named after the commit, when no other row names them
(spool.py); what a kill between the two leaves behind is swept up later (sweep.py). A limit that was
shortened by mistake stops before it empties a table.
"""
from __future__ import annotations

from datetime import timedelta
from itertools import chain

from jobs_lib import clock
from jobs_lib.config.option_types import Option, duration, optional, show_duration
from jobs_lib.errors import Busy, JobsError
from jobs_lib.job import NAMES_FILES, Job

MOST_SHARE, MOST_ROWS = 0.5, 10_000     # what a shortened limit may delete without being confirmed
BUDGET = "4m"                   # of a run: the next one goes on
# rows a batch, where files go too: a kill leaves no more than the sweep takes unasked
FILES_AT_ONCE = 100
IDEMPOTENT = ("Which rows go is decided by their age alone, each batch is one commit, and a file "
              "goes only after it: a killed or repeated run finds what is left and goes on.")

class SafetyStop(JobsError):
    """Deleting would go too far to be what was meant: nothing was deleted."""


def keep(default: str, meaning: str) -> Option:
    """An option that says how long rows are kept: a duration, or off."""
    return Option(optional(duration), default, meaning)


class Purge:
    """The function of a job that deletes the rows of a table which any of the rules names.

    files   the column with the name of a file in the spool, which goes with the last row that names it
    first   function of the Context -> counts: what is done before anything is deleted; a dry run calls it too
    within  function of (db, batch_delete.Rows): keeps in each batch's transaction what must not be lost with the rows
    more    function of the Context -> Selections of further rows to delete, after those of the rules
    """

    def __init__(self, table: str, rules: tuple, files: str | None = None, first=None, within=None,
                 more=None) -> None:
        self.table, self.rules, self.files = table, rules, files
        self.first, self.within, self.more = first, within, more

    def __call__(self, ctx) -> dict:
        """Delete what is past its time and return how much that was."""
        limits = {rule.option: getattr(ctx.options, rule.option) for rule in self.rules
                  if rule.option}
        rules = [rule for rule in self.rules if not rule.option or limits[rule.option] is not None]
        if not rules:
            ctx.log.event("purge", table=self.table, reason="off")
            ctx.count("deleted", 0)
            return ctx.counts
        if not ctx.may_expire():
            ctx.count("deleted", 0)
            return ctx.counts
        from .selection import Selection

        timed = [(rule, ctx.now - (limits[rule.option] if rule.option else timedelta(0))
                  - rule.later) for rule in rules]

        def by_age() -> int:
            # A limit that is too short is seen by age alone, also where rows wait for something
            # else before they go.
            return Selection(self.table, [(rule._replace(also=None), before) for rule,
                                          before in timed], ctx).count(ctx.db)

        chosen = Selection(self.table, timed, ctx)
        known = Known(ctx, {name: limit for name, limit in limits.items() if limit is not None})
        if self.files:
            from .spool import need_folder
            # else rows would go and their files stay
            need_folder(ctx.db, ctx.section("spool").dir)
        if ctx.dry_run:
            done = self.first(ctx) if self.first else {}
            ctx.counts.update({**done, **self.show(ctx, chosen, known.trouble(self.table, by_age))})
            return ctx.counts
        known.check(self.table, by_age)
        if self.first:
            ctx.counts.update(self.first(ctx))
        counts = self.delete(ctx, chosen)
        if not ctx.should_stop():
            if self.files:
                from .orphan_files import sweep
                sweep(ctx, counts)
            known.store()
        return counts

    def works_on(self, sample: tuple = ()) -> str:
        """The lines of Job's `tables` that follow from the rules."""
        columns = [column for rule in self.rules for column in (rule.age, rule.fallback, *rule.only)
                   if column]
        return f"{self.table}: id {' '.join((*columns, *sample))}\n" + (NAMES_FILES if self.files
                                                                        else "")

    def show(self, ctx, chosen, trouble: str | None) -> dict:
        """In a dry run: what `delete` would do, and its counts. `trouble`: why a run would stop
        instead."""
        from .dry_run import preview

        return preview(ctx, chosen, self.files, trouble, self.more(ctx) if self.more else ())

    def delete(self, ctx, chosen) -> dict:
        """Delete the rows of the Selection, which is that of the rules, and what `more` names. The
        counts."""
        from .batch_delete import Walk

        counts = ctx.counts
        counts.update({"deleted": 0, **({"files": 0, "bytes_freed": 0} if self.files else {})})
        total = chosen.count(ctx.db)
        walk = Walk(ctx, self.table, self.files, FILES_AT_ONCE if self.files else None, self.within)
        selections = chain([chosen] if total else [], self.more(ctx) if self.more else [])
        delete_all(ctx, walk, selections, counts, total, chosen.cutoffs)
        return counts


def purge(*, table: str, rules: tuple, schedule: str, options: dict | None = None, files: str
          | None = None, priority: str = "low", sections: tuple = (), sample: tuple = (),
          idempotency: str = IDEMPOTENT,
          first=None, within=None, more=None, tables: str = "", by: type[Purge] = Purge) -> Job:
    """A job whose function is a Purge, or a kind of its own that is `by`; the rest is as in Job.

    `tables` is what it works on besides the columns of its rules and its sample.
    """
    run = by(table, rules, files, first, within, more)
    return Job("", "", "", schedule, priority, BUDGET, True, options or {},
               (*sections, *(("spool",) if files else ())), idempotency, sample, run,
               tables=lambda: run.works_on(sample) + tables)


def delete_all(ctx, walk, selections, counts: dict, total: int | None, cutoffs) -> None:
    """Let the walk go over one Selection after the other, and add to `counts` what went.

    What ends it early is the run's reason to stop. A Selection that is `counted` has its rows under
    that name too. `total` is how many that will be at least, if that is known.
    """
    def tell(**more) -> None:
        ctx.progress(counts["deleted"], total if total is None else max(total, counts["deleted"]),
                     **more)

    try:
        tell()
        for chosen in selections:
            for batch in walk.batches(chosen):
                counts["deleted"] += batch.rows
                if chosen.counted:
                    counts[chosen.counted] += batch.rows
                if batch.files:
                    drop_files(ctx, batch.files, counts)
                tell(rate=walk.rate())
            if walk.reason != "done" or ctx.should_stop():
                break
    except Busy as error:               # the others come first; what is committed stays so
        walk.reason = "busy"
        ctx.log.warning("database busy", error=str(error))
    if walk.reason in ("busy", "stuck", "limit"):
        ctx.stop(walk.reason)
    ctx.log.event("purge", table=walk.table, **counts, reason=walk.reason, batches=walk.number,
                  rate=walk.rate(), before=sorted({clock.text(moment) for moment in cutoffs}))


def drop_files(ctx, paths: list[str], counts: dict) -> None:
    """Delete the files whose last row is gone. One that cannot be deleted is left for the sweep."""
    from . import spool

    folder, failed = ctx.section("spool").dir, []
    wanted = {path for path in paths if isinstance(path, str)}      # octets name no file
    for path in sorted(wanted - spool.named(ctx.db, wanted)):
        try:
            freed = spool.remove(folder, path)
        except OSError as error:
            failed.append((path, error.strerror))
            continue
        if freed is not None:
            counts["files"] += 1
            counts["bytes_freed"] += freed
    if failed:
        counts["not_removed"] = counts.get("not_removed", 0) + len(failed)
        ctx.log.warning("files not removed", number=len(failed), path=failed[0][0],
                        error=failed[0][1])


class Known:
    """What the limits were at the last good run: a typing error in one must not empty a table.

    `words` has what a limit is called, where it is not an option of this job: `[other_job] keep`.
    """

    def __init__(self, ctx, limits: dict, words: dict | None = None) -> None:
        self.ctx, self.limits = ctx, {name: int(limit.total_seconds()) for name,
                                      limit in limits.items()}
        self.words = words or {}
        self.row = ctx.db.row("SELECT last_options FROM {job_state} WHERE job = :job",
                              job=ctx.job.name)
        self.last: dict = {}
        if self.row and self.row["last_options"]:
            from jobs_lib.database.stored import memory
            self.last = memory(self.row["last_options"])

    def check(self, table: str, count) -> None:
        """SafetyStop, unless all is as it should be or `--yes` says so; from then on the new limits
        are known."""
        if self.ctx.confirmed:
            self.store()
        elif trouble := self.trouble(table, count):
            refuse(self.ctx, table, trouble)

    def trouble(self, table: str, count) -> str | None:
        """Why the run must not go on, in a sentence. `count()` is how many rows would go: asked
        only if need be."""
        shorter = [name for name, seconds in self.limits.items() if seconds < self.last.get(name,
                                                                                            0)]
        if not shorter:
            return None
        going, rows = count(), self.ctx.db.value(f"SELECT COUNT(*) FROM {{{table}}}")
        if going <= MOST_ROWS or going <= MOST_SHARE * rows:
            return None
        job = self.ctx.job.name
        changes = ", ".join(f"{self.words.get(name) or f'[{job}] {name}'} is "
                            f"{_words(self.limits[name])}, it was {_words(self.last[name])}"
                            for name in shorter)
        return (f"{changes} at the last good run: {going:,} of {rows:,} rows of {table} would go "
                f"now. Nothing was deleted. If that is meant, run `jobs.py {job} --yes` once, with "
                "the same --set if there was one; if not, put the option right")

    def store(self, **numbers: int) -> None:
        """From now on these limits are the known ones, and so are the numbers, by names that no
        option has."""
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


def refuse(ctx, table: str, trouble: str) -> None:
    """Log why the run must not go on, and raise it as SafetyStop."""
    ctx.log.error("purge stopped", table=table, reason="not confirmed", error=trouble)
    raise SafetyStop(trouble)


def _words(seconds: int) -> str:
    return show_duration(timedelta(seconds=seconds))
