"""How a value is written in the two forms of an export: exact in JSON, harmless in CSV.

A spreadsheet takes a cell for a formula if it begins with one of a few signs, no matter who wrote
it: the subject of a message can be `=HYPERLINK(...)`. Such a cell gets an apostrophe in front,
which a spreadsheet takes for "this is text" (OWASP, CSV Injection). Numbers stay numbers, so that
`-3` can be added up. All text is in quotes.

Who opens the file with another separator, as spreadsheets in many countries do by themselves, gets
a cell wherever a text has a semicolon, a tab or the end of a line: a sign behind one of these gets
its apostrophe, too.
"""
from __future__ import annotations

import base64
import csv
import json
import math
import re

SIGNS = "=+@\uff1d\uff0b\uff0d\uff20-"       # the same signs in full width among them
# what a program may strip first
BLANK = "\\s\0-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
STARTS = re.compile(f"[\t\r\n\0]|[{BLANK}]*[{SIGNS}]")
BEHIND = re.compile(f"([\t\r\n;,|\"])(?=[{BLANK}]*[{SIGNS}])")
NOUGHT = "\ufffd"            # in place of NUL, which ends a text for many programs

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode


def json_line(row: dict) -> str:
    """The row as one line of JSON. Bytes, and numbers that JSON does not know, as text."""
    try:
        return _encode(row)
    except (TypeError, ValueError):
        return _encode({name: _plain(value) for name, value in row.items()})


def csv_writer(file):
    """A writer of rows to a text file: RFC 4180, all text in quotes."""
    return csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")


def cell(value):
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
