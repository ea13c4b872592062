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
from functools import partial
from hashlib import sha256

from jobs_lib.clock import parse
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

from .columns import KINDS
from .encoding import cells, csv_writer, json_line

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


def write(file, db, user_id, *, moment: str, one_moment: bool, look) -> Written:
    """Write the export of an account into an open file, and return what is on the disk then.

    `moment`: as of when; `one_moment`: whether all of it is as of then. `look(rows, of)` is called
    every few hundred milliseconds at most: it may raise to end this.
    """
    expected = {kind: db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} WHERE {_owner(kind)} "
                               "= :user", user=user_id) for kind in KINDS if not kind.through}
    total, done, rows = sum(expected.values()), 0, {}

    def working(more: int = 0) -> None:
        nonlocal done
        done += more
        look(done, max(done, total))

    with zipfile.ZipFile(file, "w") as archive:
        add = partial(_add, archive, parse(moment).timetuple()[:6])
        for kind in KINDS:
            rows[kind] = _add_kind(add, os.path.dirname(file.name), kind,
                                   _pages(db, kind, user_id), working)
            if one_moment and rows[kind] != expected.get(kind, rows[kind]):
                raise JobsError(f"{rows[kind]:,} of {expected[kind]:,} rows of {kind.table} could "
                                f"be read: is one of its columns {', '.join(kind.order)} empty?")
        manifest = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "account_id": user_id,
                    "created_at": moment, "one_moment": one_moment,
                    "files": {name: {"rows": number} for kind, number in rows.items()
                              for name in _names(kind)}}
        lines = "\n".join(f"{number:>8,}  {kind.name:<26}  {kind.about}"
                          for kind, number in rows.items())
        add("manifest.json", [json.dumps(manifest, indent=2).encode() + b"\n"])
        add("README.txt", [README.format(moment=moment, later="" if one_moment else LATER,
                                         lines=lines).encode()])
    file.flush()
    os.fsync(file.fileno())
    return Written(*_read_back(file), done)


def _names(kind) -> tuple[str, str]:
    return f"json/{kind.name}.json", f"csv/{kind.name}.csv"


def _add(archive, when: tuple, name: str, blocks) -> None:
    """Write a file into the zip, with the time of the export."""
    info = zipfile.ZipInfo(name, when)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as member:
        for block in blocks:
            member.write(block)


def _add_kind(add, folder: str, kind, pages, working) -> int:
    """Add the JSON and the CSV file of one kind of data. `working(more rows)` is called meanwhile.
    How many rows that is."""
    rows = 0
    # "-sig" is a byte order mark: without it Excel takes UTF-8 for something else.
    with tempfile.TemporaryFile(buffering=BLOCK, dir=folder) as aside, io.TextIOWrapper(
            aside, "utf-8-sig", newline="") as sheet:
        lines = csv_writer(sheet)
        lines.writerow(kind.columns)

        def exact():
            nonlocal rows
            yield b"["
            for page in pages:
                yield ((",\n" if rows else "\n") + ",\n".join(map(json_line, page))).encode()
                lines.writerows(cells(page, kind.columns))
                rows += len(page)
                working(len(page))
            yield b"\n]\n"

        def spooled():
            sheet.flush()
            aside.seek(0)
            for block in _blocks(aside):
                yield block
                working()

        for name, blocks in zip(_names(kind), (exact(), spooled())):
            add(name, blocks)
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


# Reading

def _owner(kind) -> str:
    return "id" if kind.table == "users" else "user_id"


def _pages(db, kind, user_id):
    """Lists of rows of one kind, in an order that an index gives."""
    if kind.through:
        yield from _of_parents(db, kind, user_id)
        return
    is_long = any(column.type in ("text", "json") and column.name in kind.columns
                  for column in table(kind.table).columns)
    yield from db.pages(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} "
                        f"WHERE {_owner(kind)} = :user", key=kind.order,
                        size=LONG_ROWS if is_long else PAGE_ROWS, user=user_id)


def _of_parents(db, kind, user_id):
    """Rows that name no owner, page by page of the rows that they belong to."""
    column, parent = kind.through
    for page in db.pages(f"SELECT id FROM {{{parent}}} WHERE user_id = :user", size=LONG_ROWS,
                         user=user_id):
        rows = db.query(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} "
                        f"WHERE {column} IN (:ids) ORDER BY {', '.join(kind.columns[:2])}",
                        ids=[row["id"] for row in page])
        if rows:
            yield rows
