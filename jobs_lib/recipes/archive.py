"""Archiving audit rows: write, read back, then delete just what was read back (docs/archives.md).

The table `audit_archives` says how far each archive is: `writing` (worth nothing yet), `verified` (read back from the
store; its rows are being deleted), `purged` (its rows are gone from the table). There is never more than one that is
not purged, so no row can get into a second archive. The file's name ends with the run that writes it: as long as that
run lives, wherever, others leave its archive alone; of a dead one they finish what is verified and discard the rest.
"""
from __future__ import annotations

import os
from array import array
from collections import namedtuple
from datetime import timedelta
from itertools import chain

from .. import clock
from ..errors import Busy, ConfigError
from ..ports.archives import ArchiveError, open_store, place_of
from ..schema.version import SCHEMA_VERSION
from . import archive_format as form
from .retention import SafetyStop
from .walk import Walk

TABLE = "audit_logs"
MOST_ROWS, MOST_BYTES = 50_000, 64 * 1024 ** 2      # of one archive, before it is compressed
PAGE_ROWS, PAGE_BYTES = 500, 1024 ** 2              # read from the table at once
TIME_SHARE = 3              # of what is left to the run, writing takes a third: reading back and deleting follow
OTHERS = "another run archives"
UNFINISHED = "status IN ('verified', 'writing')"
MOST_EXPIRED, EXPIRED_SHARE = 10, 0.5               # archives that go at once without being confirmed

Exactly = namedtuple("Exactly", "table sql values")


class _Enough(Exception):
    """The run has to end in the middle of a file: it stays `writing`, and the next run begins it anew."""


def archive(ctx, chosen) -> dict:
    """Archive the rows of a Selection and delete them; how many."""
    section = ctx.section("archive")
    refuse_shared(section.store, ctx)
    store = open_for(ctx.db, section)
    run = _Archiving(ctx, chosen, store)
    try:
        run.work()
    except _Enough:
        pass                                # what stops the run is told by itself
    except Busy as error:
        ctx.stop("busy")
        ctx.log.warning("database busy", error=str(error))
    except Exception:
        ctx.progressed = run.counts
        raise
    finally:
        store.close()
    ctx.log.event("purge", table=TABLE, **run.counts, reason=ctx.stop_reason or "done", batches=run.walk.number,
                  rate=run.walk.rate(), before=sorted({clock.text(moment) for moment in chosen.cutoffs}))
    return run.counts


def refuse_shared(store: str, ctx) -> None:
    """ConfigError for a folder that is one of the others, or in it: their files are swept, rotated, replaced."""
    if "://" in store:
        return
    path = os.path.realpath(store)
    for section, option in (("spool", "dir"), ("core", "state_dir"), ("core", "log_dir")):
        other = os.path.realpath(getattr(ctx.section(section), option))
        if os.path.commonpath([path, other]) == other:
            raise ConfigError(f"[archive] store = {store}: that is in [{section}] {option}; give archives a folder "
                              "of their own")


def open_for(db, section):
    """The store, made when no archive is known in it yet."""
    place = place_of(section)
    known = db.query("SELECT location FROM {audit_archives} ORDER BY id DESC LIMIT 100")
    return open_store(section, make=not any(is_in(place, row["location"]) for row in known))


def is_in(place: str, location: str) -> bool:
    """Whether an archive was written into the store at that place."""
    return location.rpartition("/")[0] == place.rstrip("/")


def names(location: str) -> tuple[str, str]:
    """(the name of the rows' file, that of the manifest) of an archive."""
    name = location.rpartition("/")[2]
    return name, name.removesuffix(form.ROWS_END) + form.MANIFEST_END


def verify(store, name: str, manifest_name: str, look=None) -> tuple[dict, form.Tally]:
    """Read both files from the store and compare them; (the manifest, what was read). Damaged, ArchiveError."""
    told = form.read_manifest(store.read(manifest_name))
    if told.get("file") != name:
        raise form.Damaged(f"the manifest is that of {told.get('file')}")
    return told, form.check(store.read(name), told, look)


class _Archiving:
    """One run. `counts` are what it has done so far."""

    def __init__(self, ctx, chosen, store) -> None:
        self.ctx, self.db, self.chosen, self.store = ctx, ctx.db, chosen, store
        self.counts = {"archived": 0, "archives": 0, "deleted": 0, "expired": 0}
        self.walk = Walk(ctx, TABLE)
        self.total = 2 * chosen.count(ctx.db)           # each is written and deleted
        self.number = self.written = 0

    def work(self) -> None:
        """Finish what a dead run left, drop what is too old, then archive until nothing is left."""
        if self._settle() and self._expire():
            while not self.ctx.should_stop() and self._round():
                if self.ctx.limit is not None and self.walk.rows >= self.ctx.limit:
                    self.ctx.stop("limit")

    # What dead runs left

    def _settle(self) -> bool:
        for row in self.db.query("SELECT id, location, row_count, sha256, cutoff, status, created_at"
                                 f" FROM {{audit_archives}} WHERE {UNFINISHED} ORDER BY id"):
            if self._lives(row["location"]):
                self.ctx.stop(OTHERS)
                return False
            if row["status"] == "writing":
                self._discard(row)
            elif not self._finish(row):
                return False
        return True

    def _lives(self, location: str) -> bool:
        """Whether the run that made it is still at it. Each run has just looked which of them are dead."""
        run = [*location.rpartition("/")[2].split("-"), "", ""][2]
        return run != self.ctx.run_id and bool(self.db.value(
            "SELECT COUNT(*) FROM {job_runs} WHERE run_id = :run AND status = 'running'", run=run))

    def _discard(self, row: dict) -> None:
        """Remove what there is of an unverified archive, its row last, so that no file is left without one."""
        location, (name, manifest_name) = row["location"], names(row["location"])
        # Its time becomes another one, without which it cannot be verified any more: should its run not be dead.
        later = max(self.ctx.now, clock.parse(row["created_at"]) + timedelta(seconds=1))
        if not self.db.execute("UPDATE {audit_archives} SET created_at = :later WHERE id = :id AND status = 'writing'"
                               " AND created_at = :seen", later=later, id=row["id"], seen=row["created_at"]):
            return
        self.store.remove(name)
        self.store.remove(manifest_name)
        self.db.execute("DELETE FROM {audit_archives} WHERE id = :id AND status = 'writing'", id=row["id"])
        self.ctx.log.warning("unfinished archive discarded", location=location)
        if location != self.store.location(name):
            self.ctx.log.warning("the store is another now: a part of a file may be left there", location=location)

    def _finish(self, row: dict) -> bool:
        """Delete what is left of a verified archive's rows. False when the run has to stop before all are gone."""
        location, (name, manifest_name) = row["location"], names(row["location"])
        if not self.store.has(name):
            raise ArchiveError(f"{location} is verified and its rows are not all deleted yet, but it is not in "
                               f"{self.store.place}: put it back, or set [archive] store to where it is")
        try:
            told, read = verify(self.store, name, manifest_name, self._look)
            if (told["sha256"], told["row_count"]) != (row["sha256"], row["row_count"]):
                raise form.Damaged("it is not the one that was verified")
        except form.Damaged as error:
            raise form.Damaged(f"{location} was verified before and is not whole any more: {error}. Put a good copy "
                               "in its place. Nothing more is archived or deleted until then") from None
        return self._delete(row["id"], read.ids, row["cutoff"])

    # Old archives

    def _expire(self) -> bool:
        keep = self.ctx.section("archive").keep
        if keep is None:
            return True
        old = self.db.query("SELECT id, location FROM {audit_archives} WHERE status = 'purged' AND created_at < :old"
                            " ORDER BY created_at", old=self.ctx.now - keep)
        rows = [row for row in old if self._is_here(row["location"])]
        if len(rows) < len(old):
            self.ctx.log.warning("old archives in another store", number=len(old) - len(rows),
                                 location=next(row["location"] for row in old if row not in rows))
        self._check_expired(rows)
        for row in rows:
            if self.ctx.should_stop():
                return False
            name, manifest_name = names(row["location"])
            self.store.remove(name)
            self.store.remove(manifest_name)
            # The row last: killed in between, it names a file that is gone, and the next run finds that out.
            self.db.execute("DELETE FROM {audit_archives} WHERE id = :id AND status = 'purged'", id=row["id"])
            self.counts["expired"] += 1
            self.ctx.log.event("archive expired", location=row["location"])
        return True

    def _is_here(self, location: str) -> bool:
        """Whether an archive is in this store: as the table says, or because it was moved here by hand."""
        return is_in(self.store.place, location) or self.store.has(names(location)[0])

    def _check_expired(self, going: list) -> None:
        """They become old one by one: most of them at once means a typing error in `keep`."""
        if len(going) <= MOST_EXPIRED or self.ctx.confirmed:
            return
        known = self.db.query("SELECT id, location FROM {audit_archives} WHERE status = 'purged'")
        here = {row["id"] for row in known if is_in(self.store.place, row["location"])} | {row["id"] for row in going}
        if len(going) > EXPIRED_SHARE * len(here):
            from ..options import show_duration
            raise SafetyStop(f"[archive] keep is {show_duration(self.ctx.section('archive').keep)}: {len(going):,} of "
                             f"{len(here):,} archives would go now. Nothing was deleted. If that is meant, run "
                             f"`jobs.py {self.ctx.job.name} --yes` once; if not, put the option right")

    # A new archive

    def _round(self) -> bool:
        """Write one archive and delete its rows. False when nothing is left, or the run has to end."""
        pages = self._pages()
        first = next(pages, None)
        if first is None:
            return False
        self.number += 1
        began = self.ctx.clock()
        name = f"audit-{began:%Y%m%dT%H%M%SZ}-{self.ctx.run_id}-{self.number}{form.ROWS_END}"
        id = self._claim(name, began)
        if id is None:
            self.ctx.stop(OTHERS)
            return False
        ids = self._write(id, name, began, chain(first, chain.from_iterable(pages)), list(first[0]))
        return self._delete(id, ids, max(self.chosen.cutoffs))

    def _claim(self, name: str, began) -> int | None:
        """The new row's id; None while another archive is not finished. One asks after the other, on all hosts."""
        def work():
            self.db.value("SELECT value FROM {meta} WHERE name = 'database_id'" + self.db.for_update)
            if self.db.value(f"SELECT COUNT(*) FROM {{audit_archives}} WHERE {UNFINISHED}"):
                return None
            return self.db.insert("audit_archives", location=self.store.location(name), status="writing",
                                  cutoff=max(self.chosen.cutoffs), created_at=began)
        return self.db.batch(work)

    def _write(self, id: int, name: str, began, rows, columns: list) -> array:
        """Write it, read it back, and call it verified. The ids that were read back."""
        tally, manifest_name = form.Tally(), names(name)[1]
        self.store.put(name, form.compressed(self._noted(rows, tally), tally))
        facts, values = tally.facts(), self.chosen.values
        cutoffs = {values[f"only{number}_severity"]: clock.text(moment)
                   for number, moment in enumerate(self.chosen.cutoffs)}
        self.store.put(manifest_name, [form.manifest(
            facts, file=name, table=TABLE, schema_version=SCHEMA_VERSION, columns=columns, cutoffs=cutoffs,
            created_at=clock.text(began))])
        try:
            read = verify(self.store, name, manifest_name, self._look)[1]
            if read.ids != tally.ids or read.facts() != facts:
                raise form.Damaged("it is another file")
        except form.Damaged as error:
            raise form.Damaged(f"{self.store.location(name)} is not what was written: {error}. Nothing of it was "
                               "deleted; the next run writes it anew") from None
        if not self.db.execute(
                "UPDATE {audit_archives} SET status = 'verified', row_count = :rows, first_id = :first,"
                " last_id = :last, sha256 = :sha256 WHERE id = :id AND status = 'writing' AND created_at = :began",
                rows=facts.row_count, first=facts.first_id, last=facts.last_id, sha256=facts.sha256, id=id,
                began=began):
            raise ArchiveError(f"{self.store.location(name)} was discarded by another run, which took this one for "
                               "dead; nothing of it was deleted")
        self.counts["archives"] += 1
        self.counts["archived"] += facts.row_count
        self.ctx.log.event("archived", location=self.store.location(name), rows=facts.row_count,
                           first_id=facts.first_id, last_id=facts.last_id, bytes=facts.bytes, sha256=facts.sha256)
        return read.ids

    def _noted(self, rows, tally):
        """The rows of one archive, as far as they go into it."""
        until = self.ctx.monotonic() + self.ctx.seconds_left() / TIME_SHARE
        most = MOST_ROWS if self.ctx.limit is None else min(MOST_ROWS, self.ctx.limit - self.walk.rows)
        seen: set = set()
        for row in rows:
            if row["id"] in seen:               # its severity was changed meanwhile: found a second time
                continue
            seen.add(row["id"])
            yield row
            self.written += 1
            if len(seen) >= most or tally.rows_bytes >= MOST_BYTES:
                return
            if len(seen) % PAGE_ROWS == 0:
                self._look()
                if self.ctx.monotonic() > until:
                    return

    def _pages(self):
        """Lists of rows, arm by arm, oldest first, each page about as large as memory should hold at once."""
        largest = PAGE_BYTES // PAGE_ROWS
        for arm in self.chosen.arms:
            after = ""
            values: dict = {}
            while True:
                most = max(1, min(PAGE_ROWS, PAGE_BYTES // largest))
                rows = self.db.query(f"SELECT * FROM {{{TABLE}}} WHERE {arm.sql}{after}"
                                     f" ORDER BY {arm.age}, id LIMIT :most", **self.chosen.values, **values, most=most)
                if not rows:
                    break
                yield rows
                after = f" AND {arm.age} >= :since AND ({arm.age} > :since OR id > :last)"
                values = {"since": rows[-1][arm.age], "last": rows[-1]["id"]}
                largest = max(largest, *(len(row["details"] or "") for row in rows))

    def _delete(self, id: int, ids, cutoff) -> bool:
        """Delete these rows. One that got another time since stays: with an old engine its id may have a new owner."""
        for batch in self.walk.delete_ids(Exactly(TABLE, "(created_at < :cutoff)", {"cutoff": cutoff}), ids):
            self.counts["deleted"] += batch.rows
            self._tell()
        if self.walk.reason != "done":
            self.ctx.stop(self.walk.reason)
            return False
        self.db.execute("UPDATE {audit_archives} SET status = 'purged' WHERE id = :id AND status = 'verified'", id=id)
        return True

    def _look(self) -> None:
        self._tell()
        if self.ctx.should_stop():
            raise _Enough

    def _tell(self) -> None:
        done = self.written + self.counts["deleted"]
        self.ctx.progress(done, max(self.total, done), archived=self.counts["archived"], deleted=self.counts["deleted"])


def preview(ctx, chosen) -> dict:
    """What a run would do, as far as it can be told without looking into the store. Nothing is opened."""
    rows, section = chosen.count(ctx.db), ctx.section("archive")
    refuse_shared(section.store, ctx)
    if ctx.limit is not None:
        rows = min(rows, ctx.limit)
    files = -(-rows // MOST_ROWS)
    place, old = place_of(section), [] if section.keep is None else ctx.db.query(
        "SELECT location FROM {audit_archives} WHERE status = 'purged' AND created_at < :old",
        old=ctx.now - section.keep)
    expired = sum(is_in(place, row["location"]) for row in old)
    waiting = {row["status"]: row["location"] for row in ctx.db.query(
        f"SELECT status, location FROM {{audit_archives}} WHERE {UNFINISHED}")}
    notes = [f"first, the rows that are left of {waiting['verified']} are deleted"] if "verified" in waiting else []
    notes += [f"first, the unfinished {waiting['writing']} is discarded"] if "writing" in waiting else []
    ctx.show(f"archive {rows:,} row{'s' * (rows != 1)} in {files:,} file{'s' * (files != 1)} or more, in "
             f"{place}" if rows else "archive nothing", [], "; ".join(notes))
    if expired:
        ctx.show(f"remove {expired:,} old archive{'s' * (expired != 1)} from the store", [])
    return {"archived": rows, "archives": files, "expired": expired}
