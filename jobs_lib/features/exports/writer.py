"""Writing the zip of an account: page by page, so that a million rows take as much memory as a
thousand.

Of each table about the account all columns go in but those of EXCLUDED. Each page is read once and
goes into two files of the zip: its JSON, exact, and its CSV, harmless. A zip takes one file after
the other, so the CSV waits in a nameless file beside it, which is deleted with the process.

A spreadsheet takes a cell for a formula if it begins with one of a few signs, whoever wrote it. So
it gets an apostrophe in front (OWASP, CSV Injection). With another separator a cell begins wherever
a text has a semicolon, a tab or the end of a line: a sign behind these gets its apostrophe, too.
"""
from __future__ import annotations

import base64
import csv
import json
import math
import os
import re
import tempfile
import zipfile
from contextlib import nullcontext
from functools import partial
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

PAGE_ROWS = 1000             # read at once
LONG_ROWS = 50               # the same of a table with texts of any length
BLOCK = 256 * 1024
README = """\
What our service has stored about you, as of {moment} UTC. All times are UTC.

json/   each kind of data as one JSON file: exact, for programs
csv/    the same as tables, for a spreadsheet

    rows  file                        what it is
{lines}

- `id` numbers a row; `alias_id` and the like name the row with that number in
  another file.
- In the CSV files, an apostrophe (') precedes any text that a spreadsheet could
  take for a formula. The JSON files have the text unchanged. All are UTF-8.
- Not included: your mail itself, which we do not keep (you can read held and
  quarantined messages in the app); the encrypted headers, which can be read only
  there; passwords, tokens and keys, since anyone who finds this file could sign
  in with them; and internal records of our programs.
- Anyone who has this file has your data: delete it when you no longer need it.
"""

Written = namedtuple("Written", "bytes sha256 rows")

Kind = namedtuple("Kind", "name table about columns order whose")
Kind.__doc__ = """One kind of data: a JSON and a CSV file.

name     of the files
about    what it is, in words for their reader
columns  that are exported, in this order
order    columns of an index that finds the account's rows: pages are read by it
whose    SQL: of the account :user
"""

# A literal test holds, for each table, which columns these are.
EXCLUDED = frozenset((
    # anyone who has it, or can guess what is behind it, gets in
    "token_hash", "secret", "previous_secret",
    # only the app has the key; a copy outside would outlive its retention
    "ciphertext",
    # emptied once a notice is sent; one that waits may hold a link that signs in
    "body_text", "body_html",
    # where we store a file
    "raw_path", "file_name",
    # about the work, not about the person
    "progress", "sha256", "dedupe_key", "claim_run", "uncertain",
    # the account itself, which is in the profile; one that is deleted has no export
    "user_id", "deleted_at",
))


def _kind(line: str) -> Kind:
    """From `table[/name] by columns: about`; `of parent` before it: of rows that name no owner, but
    one of the parent's in the first column."""
    words, about = line.split(": ")
    names, *way = words.split()
    its_table, _, name = names.partition("/")
    columns = tuple(column.name for column in table(its_table).columns
                    if column.name not in EXCLUDED)
    order = tuple(way[way.index("by") + 1:])
    whose = "id = :user" if its_table == "users" else "user_id = :user"
    if way[0] == "of":
        whose = f"{order[0]} IN (SELECT id FROM {{{way[1]}}} WHERE {whose})"
    return Kind(name or its_table, its_table, about, columns, order, whose)


KINDS = tuple(map(_kind, """
    users/profile by id: your account
    aliases by id: your addresses
    destinations by id: the mailboxes that your mail is forwarded to
    alias_destinations of aliases by alias_id destination_id: which alias forwards where
    destination_verifications of destinations by destination_id id: when they were to be verified
    domains by id: your own domains, their records and when they were checked
    message_logs by created_at id: one line for each message that passed or was stopped
    message_stats by alias_id day direction status: sums of deleted lines, by alias and day
    header_snapshots by id: the messages whose encrypted headers we keep
    usage_daily by day: messages and bytes of each day
    usage_weekly by week_start: messages and bytes of each week
    usage_events by cycle_start metric threshold: limits that you came close to
    overflow_hold/held_messages by id: messages held because the account was over its limit
    spam_quarantine/quarantine by id: messages judged to be spam
    failed_emails/failed_forwards by id: messages that could not be forwarded at once
    webhooks by id: your endpoints
    webhook_deliveries by id: what was sent to your endpoints
    notifications by id: our notices to you
    notification_optouts by kind: kinds of notices that you opted out of
    audit_logs/audit_events by id: what was done in your account, by whom and from where
    sessions by id: browsers that are signed in
    magic_links/sign_in_links by id: sign-in links that you requested
    export_requests/exports by requested_at id: exports that you requested
""".strip().splitlines()))


# The zip

def write(file, db, user_id, now, look) -> Written:
    """Write the export of an account, as of now, into an open file, and return what is on the disk
    then. `look(rows, of)` is called again and again meanwhile: it may raise to end this."""
    # Where a reader would make all writers wait, each page is read as of its own moment.
    is_one_moment = not db.value(db.dialect.blocks_writers)
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
        # RFC 4180, all text in quotes
        lines = csv.writer(sheet, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
        lines.writerow(kind.columns)
        with open_member(f"json/{kind.name}.json") as member:
            member.write(b"[")
            for page in pages:
                member.write(((",\n" if rows else "\n")
                              + ",\n".join(map(_json_line, page))).encode())
                lines.writerows([_cell(row[name]) for name in kind.columns] for row in page)
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


# A value, in the two forms

SIGNS = "=+@\uff1d\uff0b\uff0d\uff20-"  # the same signs in full width among them
# what a program may strip first
BLANK = "\\s\0-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
STARTS = re.compile(f"[\t\r\n\0]|[{BLANK}]*[{SIGNS}]")
BEHIND = re.compile(f"([\t\r\n;,|\"])(?=[{BLANK}]*[{SIGNS}])")
NOUGHT = "\ufffd"  # in place of NUL, which ends a text for many programs

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode


def _json_line(row: dict) -> str:
    """The row as one line of JSON. Bytes, and numbers that JSON does not know, as text."""
    try:
        return _encode(row)
    except (TypeError, ValueError):
        return _encode({name: _plain(value) for name, value in row.items()})


def _cell(value):
    """A value as a cell that no spreadsheet runs."""
    text = value if isinstance(value, str) else _plain(value)
    if not isinstance(text, str):
        return text
    # In nearly all cells the first letter decides, and the rest is searched once.
    if not text[:1].isalnum() and STARTS.match(text):
        text = "'" + text
    if BEHIND.search(text) or "\0" in text:
        text = BEHIND.sub(r"\1'", text).replace("\0", NOUGHT)
    return text


def _plain(value):
    """Bytes as base64, infinity as a word."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
