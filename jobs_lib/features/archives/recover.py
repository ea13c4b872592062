"""Archives of earlier runs: what dead ones left is finished or discarded, and what is too old is
removed."""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.config.option_types import show_duration
from jobs_lib.engines.safety_stop import NEVER, RetentionGuard, confirm
from jobs_lib.ports.storage.base import ArchiveError
from jobs_lib.ports.storage.folder import FolderStore

from . import format as form
from .catalogue import OTHERS, UNFINISHED, Verified, is_in, names, verify_known

# archives that go at once without being confirmed
MOST_EXPIRED, EXPIRED_SHARE = 10, 0.5
KEEP = "archive.keep"        # what `[archive] keep` is remembered as


def unfinished(ctx, store, look):
    """Discard what dead runs left unverified, and yield each Verified whose rows are not all
    deleted yet.

    The archive of a run that lives stops this one. `look()` is called while a file is read: it may
    raise to end this.
    """
    for row in ctx.db.query("SELECT id, location, row_count, sha256, cutoff, status, created_at"
                            f" FROM {{audit_archives}} WHERE {UNFINISHED} ORDER BY id"):
        if _lives(ctx, row["location"]):
            ctx.stop(OTHERS)
            return
        if row["status"] == "writing":
            _discard(ctx, store, row)
        else:
            yield _verified(store, row, look)


def _lives(ctx, location: str) -> bool:
    """Whether the run that made it is still at it. Each run has just looked which of them are
    dead."""
    run = [*location.rpartition("/")[2].split("-"), "", ""][2]
    return run != ctx.run_id and bool(ctx.db.value(
        "SELECT COUNT(*) FROM {job_runs} WHERE run_id = :run AND status = 'running'", run=run))


def _discard(ctx, store, row: dict) -> None:
    """Remove what there is of an unverified archive, its row last, so that no file is left without
    one."""
    db, location = ctx.db, row["location"]
    # Its time becomes another one, without which it cannot be verified any more: should its run not
    # be dead.
    later = max(ctx.now, clock.plus(clock.parse_any(row["created_at"]) or ctx.now,
                                    timedelta(seconds=1)))
    if not db.execute("UPDATE {audit_archives} SET created_at = :later WHERE id = :id "
                      "AND status = 'writing'"
                      " AND created_at = :seen", later=later, id=row["id"], seen=row["created_at"]):
        return
    for name in names(location):
        store.remove(name)
    db.execute("DELETE FROM {audit_archives} WHERE id = :id AND status = 'writing'", id=row["id"])
    ctx.log.warning("unfinished archive discarded", location=location)
    if not is_in(store.place, location) and not _removed(location):
        ctx.log.warning("a part of it may be left behind in another store: delete it",
                        store=location.rpartition("/")[0], location=location)


def _removed(location: str) -> bool:
    """Remove what was begun in another folder; whether that could be done from here."""
    folder, name = os.path.split(location)
    if "://" in location or not (os.path.isdir(folder) and name.startswith("audit-")
                                 and name.endswith(form.ROWS_END)):
        return False
    try:
        for each in names(location):
            FolderStore(folder).remove(each)
    except ArchiveError:
        return False
    return True


def _verified(store, row: dict, look) -> Verified:
    """The archive of this row, read again and compared."""
    location = row["location"]
    if not store.has(names(location)[0]):
        raise ArchiveError(f"{location} is verified and its rows are not all deleted yet, but it "
                           f"is not in {store.place}: put it back, or set [archive] store to where "
                           "it is")
    try:
        read = verify_known(store, row, look)[1]
    except form.Damaged as error:
        raise form.Damaged(f"{location} was verified before and is not whole any more: {error}. "
                           "Put a good copy in its place. Nothing more is archived or deleted "
                           "until then") from None
    return Verified(row["id"], read.ids, row["cutoff"])


def expire(ctx, store):
    """Remove the archives in this store that are past `[archive] keep`, and yield the location of
    each.

    SafetyStop if that is most of them, or some because `keep` became shorter, without `--yes`.
    """
    here: list[dict] = []
    elsewhere: list[dict] = []
    for row in old(ctx):
        # also what was moved here by hand, though the table has the place from before
        found = is_in(store.place, row["location"]) or store.has(names(row["location"])[0])
        (here if found else elsewhere).append(row)
    if elsewhere:
        ctx.log.warning("old archives in another store", number=len(elsewhere),
                        location=elsewhere[0]["location"])
    confirm_expiry(ctx, store.place, here)
    if ctx.confirmed:
        remember(ctx)                   # for the next runs too, if this one cannot finish
    for row in here:
        if ctx.should_stop():
            return
        for name in names(row["location"]):
            store.remove(name)
        # The row last: killed in between, it names a file that is missing, which the next run
        # notices.
        ctx.db.execute("DELETE FROM {audit_archives} WHERE id = :id AND status = 'purged'",
                       id=row["id"])
        ctx.log.event("archive expired", location=row["location"])
        yield row["location"]


def old(ctx) -> list[dict]:
    """The archives of all stores that are past `[archive] keep`, oldest first."""
    keep = ctx.section("archive").keep
    if keep is None:
        return []
    rows = ctx.db.query("SELECT id, location, created_at FROM {audit_archives}"
                        " WHERE status = 'purged' AND created_at < :old ORDER BY created_at",
                        old=ctx.now - keep)
    return [row for row in rows if clock.parse_any(row["created_at"])]


def confirm_expiry(ctx, place: str, going: list[dict]) -> str | None:
    """SafetyStop, or in a dry run its sentence, when some of these would have stayed by the `keep`
    of the last good run, or when they are most of those in this place: archives become old one by
    one."""
    if not going:
        return None
    guard, keep = _guard(ctx), ctx.section("archive").keep
    known = ctx.db.query("SELECT id, location FROM {audit_archives} WHERE status = 'purged'")
    here = {row["id"] for row in known if is_in(place, row["location"])}
    total = len(here.union(row["id"] for row in going))
    last = timedelta(seconds=guard.last.get(KEEP, 0))
    change = guard.shortened()
    if change and any(ctx.now - clock.parse(row["created_at"]) <= last for row in going):
        return confirm(ctx, "archives", len(going), total, most=0, share=0, **change)
    return confirm(ctx, "archives", len(going), total, most=MOST_EXPIRED, share=EXPIRED_SHARE,
                   why=f"[archive] keep is {show_duration(keep)}", fix="correct the option")


def remember(ctx) -> None:
    """From now on this `keep` is the known one."""
    _guard(ctx).store()


def _guard(ctx) -> RetentionGuard:
    keep = ctx.section("archive").keep
    return RetentionGuard(ctx, {KEEP: NEVER if keep is None else keep}, {KEEP: "[archive] keep"})


def coming(ctx) -> list:
    """What is to be done: the archives that are past `[archive] keep`."""
    from jobs_lib.engines import outlook
    from jobs_lib.engines.rules import Rule
    keep = ctx.section("archive").keep
    if keep is None:
        return []
    return [outlook.rows("remove", "old archives", "audit_archives",
                         Rule("created_at", only={"status": "purged"}, option=None, later=keep))]
