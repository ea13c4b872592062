"""Writing an archive: name it in the table, write its files, read them back, and only then call it
verified."""
from __future__ import annotations

from itertools import chain

from jobs_lib import clock
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.ports.storage.base import ArchiveError

from . import format as form
from .catalogue import OTHERS, TABLE, UNFINISHED, Verified, names, verify

MOST_ROWS, MOST_BYTES = 50_000, 64 * 1024 ** 2      # of one archive, before it is compressed
PAGE_ROWS, PAGE_BYTES = 500, 1024 ** 2              # read from the table at once
# of what is left to the run, writing takes a third: reading back and deleting follow
TIME_SHARE = 3


def write(ctx, store, chosen, number: int, most: int | None, look) -> Verified | None:
    """Archive the first rows of the Selection, at most `most`. None when there are none, or another
    run archives.

    `number` is the archive's in this run; `look()` is called every few hundred rows: it may raise
    to end this. Then, and after an error, it stays `writing`, and the next run starts it again.
    """
    pages = _pages(ctx.db, chosen)
    first = next(pages, None)
    if first is None:
        return None
    began, cutoff = ctx.clock(), max(chosen.cutoffs)
    name = f"audit-{began:%Y%m%dT%H%M%SZ}-{ctx.run_id}-{number}{form.ROWS_END}"
    id = _claim(ctx.db, store.location(name), began, cutoff)
    if id is None:
        ctx.stop(OTHERS)
        return None
    tally = form.Tally()
    rows = _as_far_as_fit(ctx, chain(first, chain.from_iterable(pages)), tally,
                          min(MOST_ROWS, most or MOST_ROWS), look)
    store.put(name, form.compressed(rows, tally))
    cutoffs = {chosen.values[f"only{at}_severity"]: clock.text(moment) for at,
               moment in enumerate(chosen.cutoffs)}
    store.put(names(name)[1], [form.manifest_bytes(
        tally.facts(), ctx.secret(form.LABEL), file=name, table=TABLE,
        schema_version=SCHEMA_VERSION,
        columns=list(first[0]), cutoffs=cutoffs, created_at=clock.text(began))])
    ids = _read_back(store, name, tally, look)
    _call_verified(ctx, store.location(name), id, began, tally.facts())
    return Verified(id, ids, cutoff)


def _claim(db, location: str, began, cutoff) -> int | None:
    """The new row's id; None while another archive is not finished. One asks after the other, on
    all hosts."""
    def work():
        db.value("SELECT value FROM {meta} WHERE name = 'database_id'" + db.for_update)
        if db.value(f"SELECT COUNT(*) FROM {{audit_archives}} WHERE {UNFINISHED}"):
            return None
        return db.insert("audit_archives", location=location, status="writing", cutoff=cutoff,
                         created_at=began)
    return db.batch(work)


def _pages(db, chosen):
    """Lists of rows, branch by branch, oldest first, each page about as large as memory should hold
    at once."""
    largest = PAGE_BYTES // PAGE_ROWS

    def fitting(page: list[dict]) -> int:
        nonlocal largest
        largest = max(largest, *(len(row["details"] or "") for row in page), 0)
        return max(1, min(PAGE_ROWS, PAGE_BYTES // largest))

    for branch in chosen.branches:
        yield from db.pages(f"SELECT * FROM {{{TABLE}}} WHERE {branch.sql}", key=(branch.age, "id"),
                            size=fitting, **chosen.values)


def _as_far_as_fit(ctx, rows, tally: form.Tally, most: int, look):
    """The rows of one archive: what its size, `most`, and the time allow."""
    until = ctx.monotonic() + ctx.seconds_left() / TIME_SHARE
    seen: set = set()
    for row in rows:
        if row["id"] in seen:
            # its severity was changed meanwhile: found a second time
            continue
        seen.add(row["id"])
        yield row
        if len(seen) >= most or tally.rows_bytes >= MOST_BYTES:
            return
        if len(seen) % PAGE_ROWS == 0:
            look()
            if ctx.monotonic() > until:
                return


def _read_back(store, name: str, tally: form.Tally, look):
    """The ids that the store holds, once it is sure that they are what was written."""
    try:
        read = verify(store, name, look)[1]
        if read.ids != tally.ids or read.facts() != tally.facts():
            raise form.Damaged("it is another file")
    except form.Damaged as error:
        raise form.Damaged(f"{store.location(name)} is not what was written: {error}. Nothing of "
                           "it was deleted; the next run writes it again") from None
    return read.ids


def _call_verified(ctx, location: str, id: int, began, facts: form.Facts) -> None:
    if not ctx.db.execute(
            "UPDATE {audit_archives} "
            "SET status = 'verified', row_count = :rows, first_id = :first, last_id = :last,"
            " sha256 = :sha256 WHERE id = :id AND status = 'writing' AND created_at = :began",
            rows=facts.row_count,
            first=facts.first_id, last=facts.last_id, sha256=facts.sha256, id=id, began=began):
        raise ArchiveError(f"{location} was discarded by another run, which took this one for dead")
    ctx.log.event("archived", location=location, rows=facts.row_count, first_id=facts.first_id,
                  last_id=facts.last_id, bytes=facts.bytes, sha256=facts.sha256)
