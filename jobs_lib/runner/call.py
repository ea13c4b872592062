"""The call of a job: whatever it returns or raises becomes the outcome of the run.

What only a failed run needs is imported there: most runs find nothing to do, and end in a moment.
"""
from __future__ import annotations

from jobs_lib import errors

BUSY = "busy"                   # others need the database


def call(job, ctx, limits, result: dict, complete: bool) -> None:
    """Let the job work; how it ended goes into `result`. `complete`: the app's tables have all that
    jobs need, as far as is known."""
    result["counts"] = ctx.counts           # from here on, however the run ends
    try:
        try:
            _work(job, ctx, complete, limits)
        finally:
            result["counts"] = ctx.counts or ctx.progressed
            if ctx.held:
                result["held"] = ctx.held          # {what the guard held back: how many}
            ctx.close()
        reason = limits.reason or ctx.suspended
        stopped = "interrupted" if reason == limits.heard else "partial"
        result.update(status=stopped if reason else "ok", stop_reason=reason)
    except errors.Busy as error:
        result.update(status="partial", stop_reason=BUSY, error=str(error))
        ctx.log.warning("database busy", error=str(error))
    except errors.JobsError as error:
        result.update(status="failed", error=str(error))
        # What a column does not take any more would be sent again by each run.
        if isinstance(error, (errors.Missing, errors.NotTaken)) and not ctx.dry_run:
            from jobs_lib.database.schema.fit import forget
            forget(ctx.db)
    except (Exception, SystemExit) as error:    # noqa: BLE001  a defect, whatever it is
        from jobs_lib.config.secrets import secrets

        from . import defects
        hidden = secrets(ctx.config)
        result.update(status="failed", error=defects.sentence(error, hidden))
        ctx.log.error("exception", traceback=defects.trace(error, hidden))
    if ctx.defects:
        _add_defects(result, [*ctx.defects.values()])


def _work(job, ctx, complete: bool, limits) -> None:
    try:
        if not complete:
            from jobs_lib.database.schema.fit import need
            need(ctx.db, job, store=not ctx.dry_run)
        returned = job.run(ctx) or {}
    except errors.DatabaseError:
        if limits.struck:       # SQLite makes an error of its own of what strikes in it
            raise errors.Stopped(limits.struck) from None
        raise
    except MemoryError as error:
        raise errors.JobsError(out_of_memory(error, ctx.db)) from None
    if returned is not ctx.counts:
        # a preview's, or of a job with nothing to store
        ctx.counts.update(returned)


def out_of_memory(error: MemoryError, db) -> str:
    """Free what the frames hold that the error went through: to store the outcome needs memory. The
    error as a sentence."""
    _clear_frames(error)            # before anything else
    db.invalidate()                 # it may have struck within a statement
    from . import defects
    try:
        where = f" ({defects.place(error)})"
    except MemoryError:
        where = ""
    return f"there was not enough memory{where}: give it more, or let fewer jobs run at once"


def _clear_frames(error: BaseException | None) -> None:
    """Empty the frames of this error and those before it: their values live as long as it does."""
    while error is not None:
        step = error.__traceback__
        while step is not None:
            try:                                # noqa: SIM105  contextlib may need memory
                step.tb_frame.clear()
            except RuntimeError:                # it is still at work
                pass
            step = step.tb_next
        error = error.__context__


def _add_defects(result: dict, met: list[str]) -> None:
    """Some items met exceptions that nobody expects: the others were handled, and the run has
    failed all the same."""
    words = f"{len(met):,} items met an unexpected error, the first: {met[0]}"
    if len(met) == 1:
        words = f"1 item met an unexpected error: {met[0]}"
    before = result["error"]
    result["error"] = f"{before}. Besides, {words}" if before else f"{words}; the log has more"
    if result["status"] in ("ok", "partial"):
        result["status"] = "failed"
