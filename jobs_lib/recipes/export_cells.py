"""How a value stands in the two forms of an export: exact in JSON, harmless in CSV.

A spreadsheet takes a cell for a formula if it begins with one of a few signs, whoever wrote it: the subject of a
message can be `=HYPERLINK(...)`. Such a cell gets an apostrophe in front, which a spreadsheet takes for "this is
text" (OWASP, CSV Injection). Numbers stay numbers, so that `-3` can be added up. All text stands in quotes: with
another separator, as in many countries, a comma or semicolon in it would else begin a cell of its own.
"""
from __future__ import annotations

import base64
import csv
import json
import math
import unicodedata

STARTS = frozenset("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")         # the last four: the same signs, full width
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


def cells(rows: list[dict], columns: tuple):
    """The rows as lists of cells."""
    for row in rows:
        yield [cell(row[name]) for name in columns]


def cell(value):
    """A value as a cell that no spreadsheet runs."""
    if value.__class__ is str:
        # In nearly all cells the first letter tells: no more is done for a plain one.
        if value and (value[0] in STARTS or not value[0].isalnum() or "\0" in value):
            return _harmless(value)
        return value
    if value is None:
        return ""
    if value.__class__ is int or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _harmless(str(_plain(value)))


def _harmless(text: str) -> str:
    first = next((sign for sign in text if not _is_blank(sign)), "")
    text = text.replace("\0", NOUGHT)
    return "'" + text if first in STARTS else text


def _is_blank(sign: str) -> bool:
    """What a program may strip before it looks at the first sign: spaces, marks of direction, a byte order mark."""
    return sign not in STARTS and (sign.isspace() or unicodedata.category(sign) in ("Cf", "Cc"))


def _plain(value):
    """Bytes as base64, infinity as a word."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
