"""Writing the zip of an account: page by page, so that a million rows take as much memory as a
thousand.

Each page is read once and goes into two files of the zip, its JSON and its CSV. A zip takes one
file after the other, so the CSV waits in a nameless file beside it, which is deleted with the
process.
"""
from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from contextlib import nullcontext
from functools import partial
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

from .columns import KINDS
from .encoding import cell, csv_writer, json_line

PAGE_ROWS = 1000             # read at once
LONG_ROWS = 50               # the same of a table with texts of any length
BLOCK = 256 * 1024
FORMAT = 1                   # of the zip, for programs that read it
LATER = " and the minutes after (parts may be some minutes apart)"
README = """\
What our service has stored about you, as of {moment} UTC{later}.

json/   each kind of data as one JSON file: exact, for programs
csv/    the same as tables, for a spreadsheet
manifest.json   how many rows each file has

    rows  file                        what it is
{lines}

- All times are UTC. `id` numbers a row; `alias_id` and the like name the row of
  that number in another file.
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
    # Where a reader would make all writers wait, each page is read as of its own moment, and the
    # README says so.
    one_moment = not db.snapshot_blocks_writers()
    done, rows = 0, {}

    def working(more: int = 0) -> None:
        nonlocal done
        done += more
        look(done, max(done, total))

    with db.snapshot() if one_moment else nullcontext(), zipfile.ZipFile(file, "w") as archive:
        open_member = partial(_member, archive, now.timetuple()[:6])
        expected = {kind: db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} WHERE {_owner(kind)} "
                                   "= :user", user=user_id) for kind in KINDS if not kind.parent}
        total = sum(expected.values())
        for kind in KINDS:
            rows[kind] = _write_kind(open_member, os.path.dirname(file.name), kind,
                                     _pages(db, kind, user_id), working)
            if one_moment and rows[kind] != expected.get(kind, rows[kind]):
                raise JobsError(f"{rows[kind]:,} of {expected[kind]:,} rows of {kind.table} could "
                                f"be read: is one of its columns {', '.join(kind.order)} empty?")
        for name, text in _about(rows, user_id, clock.text(now), one_moment):
            with open_member(name) as member:
                member.write(text.encode())
    file.flush()
    os.fsync(file.fileno())
    return Written(*_read_back(file), done)


def _about(rows: dict, user_id, moment: str, one_moment: bool):
    """(name, text) of the files that say what is in the others."""
    manifest = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "account_id": user_id,
                "created_at": moment, "one_moment": one_moment,
                "files": {name: {"rows": number} for kind, number in rows.items()
                          for name in _names(kind)}}
    lines = "\n".join(f"{number:>8,}  {kind.name:<26}  {kind.about}"
                      for kind, number in rows.items())
    yield "manifest.json", json.dumps(manifest, indent=2) + "\n"
    yield "README.txt", README.format(moment=moment, later="" if one_moment else LATER, lines=lines)


def _names(kind) -> tuple[str, str]:
    return f"json/{kind.name}.json", f"csv/{kind.name}.csv"


def _member(archive, when: tuple, name: str):
    """A file in the zip, open to be written, with the time of the export."""
    info = zipfile.ZipInfo(name, when)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return archive.open(info, "w", force_zip64=True)


def _write_kind(open_member, folder: str, kind, pages, working) -> int:
    """Write the JSON and the CSV file of one kind of data. `working(more rows)` is called
    meanwhile. How many rows that is."""
    rows, (as_json, as_csv) = 0, _names(kind)
    # "-sig" is a byte order mark: without it Excel takes UTF-8 for something else.
    with tempfile.TemporaryFile(buffering=BLOCK, dir=folder) as aside, io.TextIOWrapper(
            aside, "utf-8-sig", newline="") as sheet:
        lines = csv_writer(sheet)
        lines.writerow(kind.columns)
        with open_member(as_json) as member:
            member.write(b"[")
            for page in pages:
                member.write(((",\n" if rows else "\n")
                              + ",\n".join(map(json_line, page))).encode())
                lines.writerows([cell(row[name]) for name in kind.columns] for row in page)
                rows += len(page)
                working(len(page))
            member.write(b"\n]\n")
        sheet.flush()
        aside.seek(0)
        with open_member(as_csv) as member:
            for block in _blocks(aside):
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


def _owner(kind) -> str:
    return "id" if kind.table == "users" else "user_id"


def _pages(db, kind, user_id):
    """Lists of rows of one kind, in an order that an index gives; those that name no owner by pages
    of the rows that they belong to."""
    select = f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} WHERE "
    if not kind.parent:
        is_long = any(column.type in ("text", "json") and column.name in kind.columns
                      for column in table(kind.table).columns)
        yield from db.pages(f"{select}{_owner(kind)} = :user", key=kind.order, user=user_id,
                            size=LONG_ROWS if is_long else PAGE_ROWS)
        return
    for page in db.pages(f"SELECT id FROM {{{kind.parent}}} WHERE user_id = :user", size=LONG_ROWS,
                         user=user_id):
        rows = db.query(f"{select}{kind.order[0]} IN (:ids) ORDER BY {', '.join(kind.columns[:2])}",
                        ids=[row["id"] for row in page])
        if rows:
            yield rows
