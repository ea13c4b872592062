"""Writing the zip of an account: page by page, so that a million rows take as much memory as a
thousand.

Each page is read once and goes into two files of the zip, its JSON and its CSV. A zip takes one
file after the other, so the CSV waits, compressed already, in a nameless file beside it, which is
gone with the process.
"""
from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from collections import namedtuple
from hashlib import sha256

from jobs_lib.clock import parse
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.errors import JobsError

from . import readme
from .columns import KINDS
from .encoding import cells, csv_writer, json_line

PAGE_ROWS, PAGE_BYTES = 1000, 1024 ** 2      # read at once, at most
FIRST_ROWS = 50              # of a table, before it is known how large its rows are
BLOCK = 256 * 1024
LEVEL = 6
FORMAT = 1                   # of the zip, for who reads it by program

Written = namedtuple("Written", "bytes sha256 rows")
Part = namedtuple("Part", "name about rows bytes sha256")


def write(file, db, user_id: int, *, moment: str, one_moment: bool, look) -> Written:
    """Write the export of an account into an open file, and return what is on the disk then.

    `moment`: as of when; `one_moment`: whether all of it is as of then. `look(rows, of)` is called
    after each page: it may raise to end this.
    """
    expected = {kind.name: db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} "
                                    f"WHERE {_owner(kind)} = :user", user=user_id) for kind in KINDS
                if not kind.through}
    total, rows, parts = sum(expected.values()), 0, []

    def watched(pages):
        nonlocal rows
        for page in pages:
            yield page
            rows += len(page)
            look(rows, max(rows, total))

    with _Zip(file, moment) as archive:
        for kind in KINDS:
            parts += archive.add_kind(kind, watched(_pages(db, kind, user_id)))
            if one_moment and parts[-1].rows != expected.get(kind.name, parts[-1].rows):
                raise JobsError(f"{parts[-1].rows:,} of {expected[kind.name]:,} rows of "
                                f"{kind.table} could be read: is one of its columns "
                                f"{', '.join(kind.order)} empty?")
        archive.add_text("manifest.json", json.dumps({
            "format": FORMAT, "schema_version": SCHEMA_VERSION, "account_id": user_id,
            "created_at": moment,
            "one_moment": one_moment,
            "files": {part.name: {"rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
                      for part in parts},
        }, indent=2) + "\n")
        archive.add_text("README.txt", readme.text(parts, moment, one_moment))
    file.flush()
    os.fsync(file.fileno())
    return Written(*_read_back(file), rows)


def _read_back(file) -> tuple[int, str]:
    """(bytes, SHA-256) of what is on the disk."""
    file.seek(0)
    size, seen = 0, sha256()
    while block := file.read(BLOCK):
        size += len(block)
        seen.update(block)
    return size, seen.hexdigest()


# Reading

def works_on() -> str:
    """What is read for it, as Job's `tables` says it."""
    return "".join(f"{kind.table}: {' '.join((*kind.columns, *kind.order))} "
                   f"{'' if kind.through else _owner(kind)}\n" for kind in KINDS)


def _owner(kind) -> str:
    return "id" if kind.table == "users" else "user_id"


def _pages(db, kind, user_id: int):
    """Lists of rows of one kind, in an order that an index gives."""
    if kind.through:
        yield from _of_parents(db, kind, user_id)
        return
    long = [column.name for column in table(kind.table).columns
            if column.type in ("text", "json") and column.name in kind.columns]
    names, order = ", ".join(kind.columns), ", ".join(kind.order)
    more, most = "", FIRST_ROWS
    values: dict = {}
    while True:
        rows = db.query(f"SELECT {names} FROM {{{kind.table}}} WHERE {_owner(kind)} = :user{more} "
                        f"ORDER BY {order}"
                        " LIMIT :most", user=user_id, most=most, **values)
        if rows:
            yield rows
        if len(rows) < most:
            return
        more = f" AND {kind.order[0]} >= :after0 AND ({_after(kind.order)})"
        values = {f"after{at}": rows[-1][name] for at, name in enumerate(kind.order)}
        most = _fitting(rows, long)


def _after(order: tuple, at: int = 0) -> str:
    """Behind the last row, in the order of several columns."""
    rule = f"{order[at]} > :after{at}"
    if at + 1 < len(order):
        rule += f" OR ({order[at]} = :after{at} AND ({_after(order, at + 1)}))"
    return rule


def _fitting(rows: list[dict], long: list[str]) -> int:
    """How many rows to read next: as many as a page should hold, by the largest of these in its
    `long` columns."""
    largest = max(sum(len(str(row[name] or "")) for name in long) for row in rows) if long else 0
    return max(1, min(PAGE_ROWS, 4 * len(rows), PAGE_BYTES // (largest + 1)))


def _of_parents(db, kind, user_id: int):
    """Rows that name no owner, page by page of the rows that they belong to."""
    column, parent = kind.through
    parents = next(each.table for each in KINDS if each.name == parent)
    last = 0
    while True:
        ids = [row["id"] for row in db.query(
            f"SELECT id FROM {{{parents}}} WHERE user_id = :user AND id > :last ORDER BY id "
            "LIMIT :most",
            user=user_id, last=last, most=FIRST_ROWS)]
        if not ids:
            return
        rows = db.query(f"SELECT {', '.join(kind.columns)} FROM {{{kind.table}}} "
                        f"WHERE {column} IN (:ids)"
                        f" ORDER BY {', '.join(kind.columns[:2])}", ids=ids)
        if rows:
            yield rows
        last = ids[-1]


# The zip

class _Hashed(io.RawIOBase):
    """Passes bytes on, and knows how many they were and what they add up to. Without a `target`
    they are dropped."""

    def __init__(self, target) -> None:
        self.target, self.size, self.sha256 = target, 0, sha256()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.size += len(data)
        self.sha256.update(data)
        if self.target:
            self.target.write(data)
        return len(data)


class _Zip:
    """A zip that takes two files of the same rows at once."""

    def __init__(self, file, moment: str) -> None:
        self.file = file
        self.zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
        self.when = parse(moment).timetuple()[:6]

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self.when)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info

    def add_text(self, name: str, text: str) -> None:
        """A small file."""
        self.zip.writestr(self._info(name), text.encode())

    def add_kind(self, kind, pages) -> list[Part]:
        """The JSON and the CSV file of one kind of data."""
        rows = 0
        with tempfile.TemporaryFile(dir=os.path.dirname(self.file.name)) as aside:
            deflated = _Deflated(aside)
            with self.zip.open(self._info(f"json/{kind.name}.json"), "w",
                               force_zip64=True) as member:
                one, two = _Hashed(member), _Hashed(deflated)
                exact = io.TextIOWrapper(io.BufferedWriter(one, BLOCK), "utf-8", newline="")
                # With a byte order mark, without which Excel takes UTF-8 for something else.
                sheet = io.TextIOWrapper(io.BufferedWriter(two, BLOCK), "utf-8-sig", newline="")
                lines = csv_writer(sheet)
                try:
                    lines.writerow(kind.columns)
                    exact.write("[")
                    for page in pages:
                        exact.write((",\n" if rows else "\n") + ",\n".join(map(json_line, page)))
                        lines.writerows(cells(page, kind.columns))
                        rows += len(page)
                    exact.write("\n]\n")
                    exact.flush()
                    sheet.flush()
                except BaseException:
                    # what both still hold would be written when they are closed
                    one.target = two.target = None
                    raise
            deflated.finish()
            self._take(f"csv/{kind.name}.csv", aside, deflated, two)
        return [Part(f"json/{kind.name}.json", kind.about, rows, one.size, one.sha256.hexdigest()),
                Part(f"csv/{kind.name}.csv", kind.about, rows, two.size, two.sha256.hexdigest())]

    def _take(self, name: str, aside, deflated, content: _Hashed) -> None:
        """Take a file in that is compressed already: what `zipfile` does, but for compressing once
        more."""
        info = self._info(name)
        info.file_size, info.compress_size, info.CRC = content.size, deflated.size, deflated.crc
        self.file.seek(self.zip.start_dir)
        info.header_offset = self.file.tell()
        self.file.write(info.FileHeader())
        aside.seek(0)
        while block := aside.read(BLOCK):
            self.file.write(block)
        self.zip.start_dir = self.file.tell()
        self.zip.filelist.append(info)
        self.zip.NameToInfo[name] = info

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self.zip.close()                # writes the table of contents
        else:
            # else it tries that when it is thrown away, in a file that is closed
            self.zip.fp = None


class _Deflated:
    """Compresses into a file as a zip holds it."""

    def __init__(self, file) -> None:
        self.file, self.size, self.crc = file, 0, 0
        self._engine = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)

    def write(self, data) -> None:
        """Some of the content."""
        self.crc = zlib.crc32(data, self.crc)
        self._put(self._engine.compress(data))

    def finish(self) -> None:
        """All of it was written."""
        self._put(self._engine.flush())

    def _put(self, data: bytes) -> None:
        self.size += len(data)
        self.file.write(data)
