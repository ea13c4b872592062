"""Archiving audit rows: write, read back, then delete just what was read back (docs/retention.md).

An archive is gzip of JSON Lines, one audit row a line. The table `audit_archives` says how far each
of them is:

    writing     worth nothing yet; discarded once its run is dead
    verified    read back from the store; its rows are being deleted, by the next run too
    purged      its rows have been deleted

There is never more than one that is not purged, so no row can get into a second archive.
"""
from __future__ import annotations

import gzip
import json
from functools import partial
from hashlib import sha256
from itertools import islice

from jobs_lib import clock
from jobs_lib.engines import guard
from jobs_lib.engines.batch_delete import BatchDeleter
from jobs_lib.engines.purge import Selection, begin, count, delete
from jobs_lib.errors import ConfigError
from jobs_lib.ports.storage import ArchiveError, FolderStore, place_of
from jobs_lib.text import counted, words

TABLE = "audit_logs"
KEEP = "[archive] keep"
UNFINISHED = "status IN ('verified', 'writing')"
OTHERS = "another run is archiving"                 # why a run stops
MOST_ROWS = 10_000                                  # of one archive
MOST_BYTES = 4 * 1024 ** 2                          # of it, before it is compressed
DISCARDED = "discarded"                             # in place of a SHA-256
PAGE_ROWS = 200                                     # read from the table at once


def archive(ctx, declared) -> dict:
    """Delete what is due; with a store, by way of an archive. The counts."""
    section = ctx.section("archive")
    _, due = begin(ctx, declared, has_store=bool(section.store))
    old = _old(ctx) if ctx.may_expire() else []
    if not due:
        return ctx.counts
    if not section.store:
        if waits := ctx.db.value(
                "SELECT MIN(location) FROM {audit_archives} WHERE status = 'verified'"):
            # it was lost, not given up
            raise ConfigError(f"[archive] store is not set, but the rows of {waits} are not all "
                              "deleted yet: set [archive] store back to where it is; nothing was "
                              "deleted")
    elif ctx.dry_run:
        _preview(ctx, due, old)
    if not section.store or ctx.dry_run:
        return delete(ctx, TABLE, due)
    ctx.counts.update(archived=0, archives=0, deleted=0, expired=0)
    place = place_of(section)
    # a folder that is missing later is not made again: its disk may not be mounted
    store = open_store(section, make=all(row["place"] != place for row in _archives(ctx.db)))
    Archiver(ctx, store, due, old).work()
    return ctx.counts


def _preview(ctx, due, old: list[dict]) -> None:
    """For a dry run: what is known without looking into the store."""
    place = place_of(ctx.section("archive"))
    rows = ctx.within_limit(count(ctx.db, due))
    files = -(-rows // MOST_ROWS)
    expired = ctx.within_limit(sum(row["place"] == place for row in old))
    ctx.show(f"archive {counted(rows, 'row')} in at least {counted(files, 'file')} in {place}, "
             f"and delete {counted(expired, 'old archive')} there", [])
    ctx.counts.update(archived=rows, archives=files, expired=expired)


def open_store(section, make: bool = False):
    """The store that `[archive]` names. `make`: a folder that is not there may be made."""
    if "://" not in section.store:
        return FolderStore(section.store, make)
    from jobs_lib.ports.storage.ftps import FtpsStore
    return FtpsStore(section)


class Archiver:
    """What one run does with one store."""

    def __init__(self, ctx, store, due, old: list[dict]) -> None:
        self.ctx, self.db, self.store, self.due, self.old = ctx, ctx.db, store, due, old
        self.deleter = BatchDeleter(ctx)

    def work(self) -> None:
        """Finish what a dead run left, drop what is too old, then archive until nothing is left."""
        for row in _archives(self.db, UNFINISHED):
            if self._lives(row):
                self.ctx.stop(OTHERS)
            elif row["status"] == "writing":
                self._discard(row)
            else:
                self._delete(row["id"], read_back(self.store, row["name"], row["sha256"]))
        if self.ctx.should_stop():
            return
        self._expire()
        while not self.ctx.should_stop(self.deleter.rows) and self._archive_next():
            pass

    # What earlier runs left

    def _lives(self, row: dict) -> bool:
        """Whether the run that made it is at work: the sweep was just before."""
        run = f"{row['name']}--".split("-")[2]
        return bool(self.db.value("SELECT COUNT(*) FROM {job_runs} WHERE run_id = :run "
                                  "AND status = 'running'", run=run))

    def _discard(self, row: dict) -> None:
        """Remove what there is of an unverified archive, its row last, so that no file is left
        without one. Its mark keeps it from being verified, should its run not be dead."""
        if not self.db.execute("UPDATE {audit_archives} SET sha256 = :mark WHERE id = :id "
                               "AND status = 'writing'", mark=DISCARDED, id=row["id"]):
            return
        if row["place"] == self.store.place:
            self.store.remove(row["name"])
        self._forget(row["id"])
        self.ctx.log.warning("unfinished archive discarded", location=row["location"])

    def _expire(self) -> None:
        """Remove the archives in this store that are past `[archive] keep`: the file, then the row.
        What was moved here by hand is found by its name."""
        for row in self.old:
            if self.ctx.should_stop(self.ctx.counts["expired"]):
                return
            if not self.store.remove(row["name"]) and row["place"] != self.store.place:
                self.ctx.log.warning("old archive in another store", location=row["location"])
                continue
            self._forget(row["id"])
            self.ctx.log.event("archive expired", location=row["location"])
            self.ctx.count("expired")

    def _forget(self, id: int) -> None:
        self.db.execute("DELETE FROM {audit_archives} WHERE id = :id AND status <> 'verified'",
                        id=id)

    # The next one

    def _archive_next(self) -> bool:
        """Archive the first rows that are due, and delete them. False when there are none, or
        another run archives."""
        ctx = self.ctx
        if next(self._rows(), None) is None:
            return False
        name = (f"audit-{ctx.clock():%Y%m%dT%H%M%SZ}-{ctx.run_id}-{ctx.counts['archives'] + 1}"
                ".jsonl.gz")
        location = f"{self.store.place}/{name}"
        id = self.db.batch(partial(self._claim, location))
        if id is None:
            ctx.stop(OTHERS)
            return False
        # read behind the claim: another host may have archived the same ones just before
        data, ids = packed(islice(self._rows(), ctx.within_limit(MOST_ROWS, self.deleter.rows)))
        if not ids:
            self._forget(id)
            return False
        digest = sha256(data).hexdigest()
        self.store.put(name, data)
        found = read_back(self.store, name, digest)
        if not self.db.execute(
                "UPDATE {audit_archives} SET status = 'verified', row_count = :rows, "
                "first_id = :first, last_id = :last, sha256 = :sha256 "
                "WHERE id = :id AND status = 'writing' AND sha256 IS NULL", id=id,
                rows=len(ids), first=min(ids), last=max(ids), sha256=digest):
            raise ArchiveError(f"{location} was discarded by another run, which took this one for "
                               "dead")
        ctx.log.event("archived", location=location, rows=len(ids), sha256=digest)
        ctx.count("archives")
        ctx.count("archived", len(ids))
        self._delete(id, found)
        return True

    def _rows(self):
        """Each row that is due."""
        for each in self.due:
            for rows in self.db.pages(f"SELECT * FROM {{{TABLE}}} WHERE {each.sql}",
                                      key=(each.age, "id"), size=PAGE_ROWS, **each.values):
                yield from rows

    def _claim(self, location: str) -> int | None:
        """The new row's id; None while another archive is not finished. One asks after the other,
        on all hosts. A transaction."""
        self.db.value("SELECT value FROM {meta} WHERE name = 'database_id'" + self.db.for_update)
        if self.db.value(f"SELECT COUNT(*) FROM {{audit_archives}} WHERE {UNFINISHED}"):
            return None
        return self.db.insert("audit_archives", location=location, status="writing",
                              cutoff=max(each.before for each in self.due),
                              created_at=self.ctx.clock())

    def _delete(self, id: int, ids: list) -> None:
        """Delete these rows. A younger one stays: some servers give an id again."""
        still = ("created_at < (SELECT cutoff FROM {audit_archives} "
                 "WHERE {audit_archives}.id = :archive)")
        self.deleter.delete_ids(Selection(TABLE, still, "id", {"archive": id}), ids)
        if not self.ctx.stop_reason:
            self.db.execute("UPDATE {audit_archives} SET status = 'purged' WHERE id = :id "
                            "AND status = 'verified'", id=id)


def _old(ctx) -> list[dict]:
    """The archives of all stores past `[archive] keep`, oldest first. The guard counts the rows of
    those that would go: in this store."""
    section = ctx.section("archive")
    place = place_of(section)

    def old(limits: dict) -> list[dict]:
        return _archives(
            ctx.db, "status = 'purged' AND created_at >= :first AND created_at < :old",
            first=clock.FIRST, old=ctx.now - limits[KEEP] if limits[KEEP] else clock.FIRST)

    def rows(limits: dict) -> int:
        return sum(row["row_count"] for row in old(limits) if row["place"] == place)
    return old(guard.kept(ctx, "audit_archives", {KEEP: section.keep}, rows,
                          what="rows in archives", unit="SUM(row_count)"))


def _archives(db, rule: str = "1 = 1", **values) -> list[dict]:
    """Those of which that is true, each with its `place`, a store, and its `name` there."""
    rows = db.query(f"SELECT * FROM {{audit_archives}} WHERE {rule} ORDER BY created_at, id",
                    **values)
    for row in rows:
        row["place"], _, row["name"] = words(row["location"]).rpartition("/")
    return rows


def packed(rows) -> tuple[bytes, list]:
    """The file of the first of these rows, as many as one archive takes, and their ids. No time and
    no name is in its header: same rows, same bytes."""
    lines, ids, size = [], [], 0
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str).encode()
        lines.append(line + b"\n")
        ids.append(row["id"])
        size += len(line)
        if size >= MOST_BYTES:
            break
    return gzip.compress(b"".join(lines), mtime=0), ids


def read_back(store, name: str, digest: str) -> list:
    """The ids of the rows that the store holds. ArchiveError where it is not what was written."""
    data = store.read(name)
    if sha256(data).hexdigest() != digest:
        raise ArchiveError(f"{store.place}/{name} is not what was written: its SHA-256 differs. "
                           "None of its rows is deleted; if it was verified before, put a good "
                           "copy in its place, or delete its row in audit_archives")
    return [json.loads(line)["id"] for line in gzip.decompress(data).splitlines()]
