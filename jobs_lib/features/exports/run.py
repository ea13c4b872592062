"""Making exports, one after the other, until none waits or the run has to stop; or showing what
a run would do."""
from __future__ import annotations

import os
from contextlib import closing, nullcontext
from functools import partial

from jobs_lib import clock
from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines import rotation
from jobs_lib.errors import Busy, JobsError, Lost
from jobs_lib.folders import new_file, publish

from . import download, files, requests, writer

STORED_SECONDS = 2.0         # between two commits of the progress
# of the budget: an attempt that had less time is not counted when the time is up
FAIR_SHARE = 0.5
SHOWN = 10


class _Taken(Exception):
    """The request is no longer this run's."""


class _Stop(Exception):
    """The run has to end in the middle of a file."""


class _NoRoom(JobsError):
    """The file of one export could not be written."""


def make_all(ctx) -> None:
    """Make what waits. One export that finds no room stops no smaller one: only the second shows
    that the disk is full."""
    full = None
    for taken, path in _claimed(ctx):
        try:
            _make(ctx, taken, path)
        except _NoRoom as error:
            if full:
                raise
            full = error
    if full:
        raise full


def _claimed(ctx):
    """Each request that this run is to fulfil, and the path of its file: one of each owner, then
    another of each."""
    # owners whose export another run makes: their other requests wait
    out: set = set()
    tried: dict = {}            # {owner: requests that this run has met}
    while not ctx.should_stop():
        rows = list(requests.waiting(ctx, out, tried))
        if not rows:
            return
        _need_link(ctx)
        folder = files.folder(ctx)
        for row in rows:
            if ctx.should_stop(ctx.counts["exported"]):
                return
            refused = ctx.counts["refused"]
            tried.setdefault(row["user_id"], []).append(row["id"])
            if not requests.is_valid(ctx, row):
                continue
            taken = requests.claim(ctx, row)
            rotation.keep(ctx.db, ctx.job.name, row["user_id"])
            if taken:
                yield taken, os.path.join(folder, taken.file_name)
            elif ctx.counts["refused"] == refused:
                out.add(row["user_id"])


def _need_link(ctx) -> None:
    if not download.page(ctx):
        raise JobsError("exports are asked for, but there is no page to download them from: set "
                        "[export] url, or [core] app_url. The requests wait")


def _make(ctx, taken, path: str) -> None:
    """One export. An error in its rows concerns it alone; a full disk or a lost database concerns
    all."""
    fair = ctx.seconds_left() >= FAIR_SHARE * ctx.options.budget.total_seconds()
    put_back = partial(requests.put_back, ctx, taken)
    try:
        written = _write(ctx, taken, path)
        publish(path + files.PART, path)
        if not requests.finish(ctx, taken, written):
            raise _Taken
        ctx.count("exported")
        ctx.log.event("exported", id=taken.row["id"], rows=written.rows, bytes=written.bytes)
    except _Taken:
        files.remove(ctx, taken.row)
        ctx.log.event("export cancelled", id=taken.row["id"])
    except _Stop:
        put_back(_stopped(ctx), fair and ctx.stop_reason == "budget")
    except (Busy, Lost) as error:
        put_back(requests.message(error), False)
        raise
    except OSError as error:
        message = f"{files.OPTION} = {os.path.dirname(path)}: {error.strerror or error}"
        put_back(message, False)
        raise _NoRoom(f"{message}. No request has lost an attempt; the next run tries "
                      "again") from None
    except Exception as error:      # noqa: BLE001  one account's rows must not stop the others
        put_back(requests.message(error), True)
        if not isinstance(error, (JobsError, ValueError)):
            # an error of ours, and not of the rows
            ctx.defect(error, f"export {taken.row['id']}")


def _stopped(ctx) -> str:
    far = "{done:,} of {total:,} rows were written".format(**ctx.progressed)
    if ctx.stop_reason != "budget":
        return f"the run had to stop ({ctx.stop_reason}) when {far}"
    left = ctx.progressed.get("seconds_left")
    before = f", some {left // 60 + 1} minutes before the end" if left else ""
    return f"the time was up when {far}{before}: let [export_accounts] budget be more"


def _write(ctx, taken, path: str):
    stored = ctx.monotonic()

    def look(rows: int, total: int) -> None:
        nonlocal stored
        ctx.progress(rows, total)
        if ctx.should_stop():
            raise _Stop
        if ctx.monotonic() - stored >= STORED_SECONDS:
            stored = ctx.monotonic()
            if not requests.is_ours(ctx, taken, min(99, 100 * rows // total)):
                raise _Taken

    with closing(ctx.reader()) as db:
        # Where a reader would make all writers wait, each page is read as of its own moment, and
        # the README says so.
        one_moment = not db.snapshot_blocks_writers()
        snapshot = db.snapshot() if one_moment else nullcontext()
        with snapshot, new_file(path + files.PART) as file:
            return writer.write(file, db, taken.row["user_id"], moment=clock.text(ctx.clock()),
                                one_moment=one_moment, look=look)


# A dry run

def preview(ctx) -> dict:
    """Show it, and return the counts. How many rows an account has is not counted."""
    requests.count_unclaimable(ctx)
    most = ctx.within_limit(requests.AT_ONCE)
    rows, over = requests.first(ctx, most), requests.over(ctx, most)
    refused = [row for row in rows if requests.refusal(ctx, requests.owner(ctx, row), row)]
    made = [row for row in rows if row not in refused]
    missing = "" if download.page(ctx) else "set [export] url, or [core] app_url"
    problem = misplaced(ctx.section, "export", "dir") or missing
    for title, some, note in (
            ("export {} account{}", made, problem and f"a run would fail: {problem}"),
            ("refuse {} request{}", refused, ""),
            ("delete {} export{} whose time is over", over, "")):
        if some:
            ctx.show(title.format(f"{len(some):,}", "s" * (len(some) != 1)), some[:SHOWN], note)
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}
