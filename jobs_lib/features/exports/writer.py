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
from textwrap import fill

from jobs_lib.clock import parse
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

from .columns import KINDS
from .encoding import cells, csv_writer, json_line

PAGE_ROWS, PAGE_BYTES = 1000, 512 * 1024     # read at once, at most
FIRST_ROWS = 50              # of a table, before it is known how large its rows are
BLOCK = 256 * 1024
FORMAT = 1                   # of the zip, for programs that read it
README_WIDTH = 76
README_HEAD = """\
What our service has stored about you, as of {moment} UTC{moments}.

json/   each kind of data as one JSON file: exact, for programs
csv/    the same as tables, for a spreadsheet
manifest.json   how many rows each file has, its size and its SHA-256

    rows  file                        what it is
"""
README_NOTES = """\
- All times are UTC. `id` numbers a row; `alias_id` and the like name the row of that number in \
another file.
- In the CSV files there is an apostrophe (') wherever a spreadsheet could take a text for a \
formula. The JSON files have each text as it is. All are UTF-8.
- Not in here: your mail itself, which we do not keep (what is held or quarantined for a while \
can be read in the app); the encrypted headers, which can be read only there; passwords, tokens \
and keys, since whoever finds this file could sign in with them; and the bookkeeping of our own \
programs.
- Whoever has this file has this data: delete it where you no longer need it.
"""

Written = namedtuple("Written", "bytes sha256 rows")
Part = namedtuple("Part", "name about rows bytes sha256")


def write(file, db, user_id: int, *, moment: str, one_moment: bool, look) -> Written:
    """Write the export of an account into an open file, and return what is on the disk then.

    `moment`: as of when; `one_moment`: whether all of it is as of then. `look(rows, of)` is called
    every few hundred milliseconds at most: it may raise to end this.
    """
    expected = {kind.name: db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} "
                                    f"WHERE {_owner(kind)} = :user", user=user_id) for kind in KINDS
                if not kind.through}
    total, rows, parts = sum(expected.values()), 0, []

    def working(more: int = 0) -> None:
        nonlocal rows
        rows += more
        look(rows, max(rows, total))

    with _Zip(file, moment) as archive:
        for kind in KINDS:
            parts += _add_kind(archive, kind, _pages(db, kind, user_id), working)
            if one_moment and parts[-1].rows != expected.get(kind.name, parts[-1].rows):
                raise JobsError(f"{parts[-1].rows:,} of {expected[kind.name]:,} rows of "
                                f"{kind.table} could be read: is one of its columns "
                                f"{', '.join(kind.order)} empty?")
        archive.add("manifest.json", [_manifest(user_id, moment, one_moment, parts)])
        archive.add("README.txt", [_readme(parts, moment, one_moment).encode()])
    file.flush()
    os.fsync(file.fileno())
    return Written(*_read_back(file), rows)


def _manifest(user_id: int, moment: str, one_moment: bool, parts: list) -> bytes:
    return (json.dumps({
        "format": FORMAT, "schema_version": SCHEMA_VERSION, "account_id": user_id,
        "created_at": moment, "one_moment": one_moment,
        "files": {part.name: {"rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
                  for part in parts},
    }, indent=2) + "\n").encode()


def _readme(parts: list, moment: str, one_moment: bool) -> str:
    """What the files hold, how to read them, and what is not in them."""
    moments = "" if one_moment else " and the minutes after (parts may be some minutes apart)"
    lines = [f"{part.rows:>8,}  {part.name.partition('/')[2].partition('.')[0]:<26}  {part.about}"
             for part in parts if part.name.startswith("json/")]
    notes = [fill(note, README_WIDTH, subsequent_indent="  ", break_long_words=False)
             for note in README_NOTES.splitlines()]
    return "\n".join([README_HEAD.format(moment=moment, moments=moments) + "\n".join(lines), "",
                      *notes, ""])


# The zip

class _Zip(zipfile.ZipFile):
    """A zip whose files bear the time of the export."""

    def __init__(self, file, moment: str) -> None:
        super().__init__(file, "w")
        self.folder = os.path.dirname(file.name)
        self._when = parse(moment).timetuple()[:6]

    def add(self, name: str, blocks) -> tuple[int, str]:
        """Write a file into it; (bytes, SHA-256) of that file."""
        info = zipfile.ZipInfo(name, self._when)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self.open(info, "w", force_zip64=True) as member:
            return _pass_on(blocks, member.write)


def _add_kind(archive: _Zip, kind, pages, working) -> list[Part]:
    """Add the JSON and the CSV file of one kind of data. `working(more rows)` is called meanwhile.
    """
    rows = 0
    # "-sig" is a byte order mark: without it Excel takes UTF-8 for something else.
    with tempfile.TemporaryFile(buffering=BLOCK, dir=archive.folder) as aside, io.TextIOWrapper(
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

        found = [(name, archive.add(name, blocks)) for name, blocks in (
            (f"json/{kind.name}.json", exact()), (f"csv/{kind.name}.csv", spooled()))]
    return [Part(name, kind.about, rows, *measured) for name, measured in found]


def _read_back(file) -> tuple[int, str]:
    """(bytes, SHA-256) of what is on the disk."""
    file.seek(0)
    return _pass_on(_blocks(file), lambda block: None)


def _blocks(file):
    return iter(partial(file.read, BLOCK), b"")


def _pass_on(blocks, write) -> tuple[int, str]:
    """Write them all; (bytes, SHA-256) of what that was."""
    size, seen = 0, sha256()
    for block in blocks:
        size += len(block)
        seen.update(block)
        write(block)
    return size, seen.hexdigest()


# Reading

def _owner(kind) -> str:
    return "id" if kind.table == "users" else "user_id"


def _pages(db, kind, user_id: int):
    """Lists of rows of one kind, in an order that an index gives."""
    if kind.through:
        yield from _of_parents(db, kind, user_id)
        return
    long = [column.name for column in table(kind.table).columns
            if column.type in ("text", "json") and column.name in kind.columns]
    yield from db.pages(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} "
                        f"WHERE {_owner(kind)} = :user", key=kind.order,
                        size=partial(_fitting, long), user=user_id)


def _fitting(long: list[str], page: list[dict]) -> int:
    """How many rows to read next: as many as a page should hold, by the largest of the page before
    in its `long` columns."""
    if not page:
        return FIRST_ROWS
    largest = max(sum(len(str(row[name] or "")) for name in long) for row in page)
    return max(1, min(PAGE_ROWS, 4 * len(page), PAGE_BYTES // (largest + 1)))


def _of_parents(db, kind, user_id: int):
    """Rows that name no owner, page by page of the rows that they belong to."""
    column, parent = kind.through
    parents = next(each.table for each in KINDS if each.name == parent)
    for page in db.pages(f"SELECT id FROM {{{parents}}} WHERE user_id = :user", size=FIRST_ROWS,
                         user=user_id):
        rows = db.query(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} "
                        f"WHERE {column} IN (:ids) ORDER BY {', '.join(kind.columns[:2])}",
                        ids=[row["id"] for row in page])
        if rows:
            yield rows
