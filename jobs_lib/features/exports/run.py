"""Making exports, one after the other, until none waits or the run has to stop; or showing what
a run would do."""
from __future__ import annotations

import os
from contextlib import closing
from functools import partial

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.attempts import POSTPONED, RETRY
from jobs_lib.engines.queue import until_stored
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
NO_PAGE = "there is no page to download exports from: set [export] url, or [core] app_url"


class _Unfinished(Exception):
    """(outcome, why): it ends in the middle, and that is no error."""


def make_all(work: requests.Requests) -> None:
    """Make what is due, one of each owner in turn."""
    ctx, ring = work.ctx, Ring(work)
    if not download.page(ctx):
        raise JobsError(f"{NO_PAGE}. The requests wait")
    folder = files.folder(ctx)
    while not ctx.should_stop(ctx.counts["exported"]) and (
            rows := work.take(ring, requests.AT_ONCE)):
        for row in rows:
            if ctx.should_stop(ctx.counts["exported"]):
                break
            begun = row["user_id"] not in ring.passed and work.begin(row, work.room)
            if begun is True:
                _make(work, row, folder)
            elif begun != requests.REFUSED:
                ring.passed.add(row["user_id"])
    work.finish()


def _make(work: requests.Requests, row: dict, folder: str) -> None:
    """One export. An error in its rows concerns it alone; a full disk or a lost database concerns
    all, and ends the run: the next one begins with the next owner."""
    ctx, path = work.ctx, os.path.join(folder, row["file_name"])

    def put_back(outcome: str, why: str) -> None:
        until_stored(ctx, partial(work.put_back, row, outcome, why))
    try:
        written = _write(work, row, path + files.PART)
        publish(path + files.PART, path)
        if not until_stored(ctx, partial(work.store_ready, row, written)):
            raise _Unfinished(POSTPONED, "it was withdrawn, or the account is not active any more")
        ctx.count("exported")
        ctx.log.event("exported", id=row["id"], rows=written.rows, bytes=written.bytes)
    except _Unfinished as error:
        put_back(*error.args)
    except (Busy, Lost) as error:
        put_back(POSTPONED, _words(error))
        raise
    except OSError as error:
        message = f"{files.OPTION} = {folder}: {error.strerror or error}"
        put_back(POSTPONED, message)
        raise JobsError(f"{message}. No request has lost an attempt") from None
    except Exception as error:      # noqa: BLE001  one account's rows must not stop the others
        put_back(RETRY, _words(error))
        if not isinstance(error, (JobsError, ValueError)):
            # an error of ours, and not of the rows
            ctx.defect(error, f"export {row['id']}")


def _write(work: requests.Requests, row: dict, draft: str):
    ctx = work.ctx
    is_fair = ctx.seconds_left() >= FAIR_SHARE * ctx.options.budget.total_seconds()
    stored = ctx.monotonic()

    def look(rows: int, total: int) -> None:
        nonlocal stored
        ctx.progress(rows, total)
        if ctx.should_stop():
            is_over = ctx.stop_reason == "budget"
            raise _Unfinished(
                RETRY if is_fair and is_over else POSTPONED,
                f"the run had to stop ({ctx.stop_reason}) when {rows:,} of {total:,} rows were "
                "written" + (": let [export_accounts] budget be more" if is_over else ""))
        if ctx.monotonic() - stored >= STORED_SECONDS:
            stored = ctx.monotonic()
            ctx.db.execute("UPDATE {export_requests} SET progress = :percent WHERE id = :id "
                           "AND claim_run = :run", id=row["id"], run=ctx.run_id,
                           percent=min(99, 100 * rows // max(1, total)))

    with closing(ctx.reader()) as db, new_file(draft) as file:
        return writer.write(file, db, row["user_id"], ctx.clock(), look)


def _words(error: Exception) -> str:
    """For the row and the log, without anyone's address."""
    from jobs_lib import masking
    return masking.text(f"{type(error).__name__}: {error}")[:500]


def preview(ctx) -> dict:
    """Show what a run would do, and return the counts. How many rows an account has is not
    counted."""
    work = requests.Requests(ctx, EXPORTS)
    ring, over = Ring(work), requests.over(ctx)
    made: list[dict] = []
    refused: list[dict] = []
    most = requests.AT_ONCE
    while (len(made) < ctx.within_limit(most) and len(refused) < most
           and (rows := work.take(ring, 1))):
        more = sum(other["user_id"] == rows[0]["user_id"] for other in made)
        why = requests.refusal(ctx, requests.owner(ctx, rows[0]), rows[0], more)
        (refused if why else made).extend(rows)
    problem = misplaced(ctx.section, "export", "dir") or ("" if download.page(ctx) else NO_PAGE)
    ctx.show(f"export {counted(len(made), 'account')}", made[:SHOWN],
             f"a run would fail: {problem}" if made and problem else "")
    ctx.show(f"refuse {counted(len(refused), 'request')}", refused[:SHOWN])
    ctx.show(f"delete {counted(len(over), 'export')} whose time is over", over[:SHOWN])
    work.begun = len(made)
    work.finish()
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}
