"""Making exports, one after the other, until none waits or the run has to stop; or showing what
a run would do."""
from __future__ import annotations

import os
from contextlib import closing, nullcontext
from functools import partial

from jobs_lib import clock
from jobs_lib.engines.attempts import POSTPONED, RETRY
from jobs_lib.engines.due import due
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.rows import invalid
from jobs_lib.engines.turns import Ring
from jobs_lib.errors import Busy, JobsError, Lost
from jobs_lib.features.queues import EXPORTS
from jobs_lib.folders import new_file, publish
from jobs_lib.text import counted

from . import download, files, requests, writer

STORED_SECONDS = 2.0         # between two commits of the progress
# of the budget: an attempt that had less time is not counted when the time is up
FAIR_SHARE = 0.5
SHOWN = 10
NOT_WANTED = "the request was withdrawn, or the account is not active any more"
NO_PAGE = "there is no page to download exports from: set [export] url, or [core] app_url"


class _Taken(Exception):
    """The request is no longer this run's."""


class _Stop(Exception):
    """The run has to end in the middle of a file."""


def make_all(work: Work) -> None:
    """Make what is due, one of each owner in turn."""
    ctx, ring = work.ctx, Ring(work)
    if not download.page(ctx):
        raise JobsError(f"{NO_PAGE}. The requests wait")
    folder = files.folder(ctx)
    while not ctx.should_stop(ctx.counts["exported"]) and (rows := work.take(ring, 1)):
        row, = rows
        row["since"] = ctx.monotonic()
        found = work.begin(row, partial(requests.room, work))
        if found is True:
            _make(work, row, os.path.join(folder, files.name_of(ctx, row["id"], ctx.run_id)))
            ring.left.add(row["id"])        # what was put back is for the next run
        elif found == requests.LATER:
            ring.passed.add(row["user_id"])
            ring.forget()
        else:                               # refused, or another run has it
            ring.left.discard(row["id"])
    work.finish()


def _make(work: Work, row: dict, path: str) -> None:
    """One export. An error in its rows concerns it alone; a full disk or a lost database concerns
    all, and ends the run: the next one begins with the next owner."""
    ctx = work.ctx
    fair = ctx.seconds_left() >= FAIR_SHARE * ctx.options.budget.total_seconds()

    def put_back(why: str, outcome: str) -> None:
        until_stored(ctx, partial(requests.put_back, work, row, outcome, why))
    try:
        written = _write(work, row, path)
        publish(path + files.PART, path)
        if not until_stored(ctx, partial(requests.finish, work, row, written)):
            raise _Taken
        ctx.count("exported")
        ctx.log.event("exported", id=row["id"], rows=written.rows, bytes=written.bytes)
    except _Taken:
        put_back(NOT_WANTED, POSTPONED)
        ctx.log.event("export cancelled", id=row["id"])
    except _Stop:
        put_back(_stopped(ctx), RETRY if fair and ctx.stop_reason == "budget" else POSTPONED)
    except (Busy, Lost) as error:
        put_back(requests.message(error), POSTPONED)
        raise
    except OSError as error:
        message = f"{files.OPTION} = {os.path.dirname(path)}: {error.strerror or error}"
        put_back(message, POSTPONED)
        raise JobsError(f"{message}. No request has lost an attempt") from None
    except Exception as error:      # noqa: BLE001  one account's rows must not stop the others
        put_back(requests.message(error), RETRY)
        if not isinstance(error, (JobsError, ValueError)):
            # an error of ours, and not of the rows
            ctx.defect(error, f"export {row['id']}")


def _stopped(ctx) -> str:
    far = "{done:,} of {total:,} rows were written".format(**ctx.progressed)
    if ctx.stop_reason != "budget":
        return f"the run had to stop ({ctx.stop_reason}) when {far}"
    return f"the time was up when {far}: let [export_accounts] budget be more"


def _write(work: Work, row: dict, path: str):
    ctx = work.ctx
    stored = ctx.monotonic()

    def look(rows: int, total: int) -> None:
        nonlocal stored
        ctx.progress(rows, total)
        if ctx.should_stop():
            raise _Stop
        if ctx.monotonic() - stored >= STORED_SECONDS:
            stored = ctx.monotonic()
            if not requests.store_progress(work, row, min(99, 100 * rows // total)):
                raise _Taken

    with closing(ctx.reader()) as db:
        # Where a reader would make all writers wait, each page is read as of its own moment, and
        # the README says so.
        one_moment = not db.snapshot_blocks_writers()
        snapshot = db.snapshot() if one_moment else nullcontext()
        with snapshot, new_file(path + files.PART) as file:
            return writer.write(file, db, row["user_id"], moment=clock.text(ctx.clock()),
                                one_moment=one_moment, look=look)


def preview(ctx) -> dict:
    """Show what a run would do, and return the counts. How many rows an account has is not
    counted."""
    work = requests.Requests(ctx, EXPORTS)
    work.count_unknown()
    found = work.read(due(ctx, EXPORTS).ids(requests.AT_ONCE))
    if wrong := invalid(ctx.db, EXPORTS.table, list(found.values())):
        ctx.count("invalid", len(wrong))
    made: list[dict] = []
    refused: list[dict] = []
    for row in (row for id, row in found.items() if id not in wrong):
        more = sum(other["user_id"] == row["user_id"] for other in made)
        is_refused = requests.refusal(ctx, requests.owner(ctx, row), row, more)
        (refused if is_refused else made).append(row)
    made = made[:ctx.within_limit(len(made))]
    over = requests.over(ctx, ctx.within_limit(requests.AT_ONCE))
    problem = files.problem(ctx) or ("" if download.page(ctx) else NO_PAGE)
    ctx.show(f"export {counted(len(made), 'account')}", made[:SHOWN],
             f"a run would fail: {problem}" if made and problem else "")
    ctx.show(f"refuse {counted(len(refused), 'request')}", refused[:SHOWN])
    ctx.show(f"delete {counted(len(over), 'export')} whose time is over", over[:SHOWN])
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}
