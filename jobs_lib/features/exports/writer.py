"""Writing the zip of an account: page by page, so that a million rows take as much memory as a
thousand.

Each page is read once and goes into two files of the zip, its JSON and its CSV. A zip takes one
file after the other, so the CSV waits in a nameless file beside it, which is deleted with the
process.
"""
from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import nullcontext
from functools import partial
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

from .columns import KINDS
from .encoding import cell, csv_writer, json_line

PAGE_ROWS = 1000             # read at once
LONG_ROWS = 50               # the same of a table with texts of any length
BLOCK = 256 * 1024
README = """\
What our service has stored about you, as of {moment} UTC. All times are UTC.

json/   each kind of data as one JSON file: exact, for programs
csv/    the same as tables, for a spreadsheet

    rows  file                        what it is
{lines}

- `id` numbers a row; `alias_id` and the like name the row of that number in
  another file.
- In the CSV files there is an apostrophe (') wherever a spreadsheet could take a
  text for a formula. The JSON files have each text as it is. All are UTF-8.
- Not in here: your mail itself, which we do not keep (what is held or quarantined
  for a while can be read in the app); the encrypted headers, which can be read
  only there; passwords, tokens and keys, since whoever finds this file could sign
  in with them; and the bookkeeping of our own programs.
- Whoever has this file has this data: delete it where you no longer need it.
"""

Written = namedtuple("Written", "bytes sha256 rows")


def write(file, db, user_id, now, look) -> Written:
    """Write the export of an account, as of now, into an open file, and return what is on the disk
    then. `look(rows, of)` is called again and again meanwhile: it may raise to end this."""
    # Where a reader would make all writers wait, each page is read as of its own moment.
    is_one_moment = not db.snapshot_blocks_writers()
    done, rows = 0, {}

    def working(more: int = 0) -> None:
        nonlocal done
        done += more
        look(done, max(done, total))

    with db.snapshot() if is_one_moment else nullcontext(), zipfile.ZipFile(
            file, "w", zipfile.ZIP_DEFLATED) as archive:
        open_member = partial(archive.open, mode="w", force_zip64=True)
        expected = {kind: db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} WHERE {kind.whose}",
                                   user=user_id) for kind in KINDS}
        total = sum(expected.values())
        for kind in KINDS:
            rows[kind] = _write_kind(open_member, os.path.dirname(file.name), kind,
                                     _pages(db, kind, user_id), working)
            if is_one_moment and rows[kind] < expected[kind]:
                raise JobsError(f"{rows[kind]:,} of {expected[kind]:,} rows of {kind.table} could "
                                f"be read: is one of its columns {', '.join(kind.order)} empty?")
        lines = "\n".join(f"{number:>8,}  {kind.name:<26}  {kind.about}"
                          for kind, number in rows.items())
        with open_member("README.txt") as member:
            member.write(README.format(moment=clock.text(now), lines=lines).encode())
    file.flush()
    os.fsync(file.fileno())
    return Written(*_read_back(file), done)


def _write_kind(open_member, folder: str, kind, pages, working) -> int:
    """Write the JSON and the CSV file of one kind of data. `working(more rows)` is called
    meanwhile. How many rows that is."""
    rows = 0
    # "-sig" is a byte order mark: without it Excel takes UTF-8 for something else.
    with tempfile.TemporaryFile("w+", BLOCK, "utf-8-sig", newline="", dir=folder) as sheet:
        lines = csv_writer(sheet)
        lines.writerow(kind.columns)
        with open_member(f"json/{kind.name}.json") as member:
            member.write(b"[")
            for page in pages:
                member.write(((",\n" if rows else "\n")
                              + ",\n".join(map(json_line, page))).encode())
                lines.writerows([cell(row[name]) for name in kind.columns] for row in page)
                rows += len(page)
                working(len(page))
            member.write(b"\n]\n")
        sheet.seek(0)
        with open_member(f"csv/{kind.name}.csv") as member:
            for block in _blocks(sheet.buffer):
                member.write(block)
                working()
    return rows


def _read_back(file) -> tuple[int, str]:
    """(bytes, SHA-256) of what is on the disk."""
    file.seek(0)
    seen = sha256()
    for block in _blocks(file):
        seen.update(block)
    return file.tell(), seen.hexdigest()


def _blocks(file):
    return iter(partial(file.read, BLOCK), b"")


def _pages(db, kind, user_id):
    """Lists of rows of one kind, in an order that an index gives."""
    is_long = any(column.type in ("text", "json") and column.name in kind.columns
                  for column in table(kind.table).columns)
    return db.pages(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} WHERE {kind.whose}",
                    key=kind.order, user=user_id, size=LONG_ROWS if is_long else PAGE_ROWS)
