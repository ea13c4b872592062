"""No cell of an export is run by a spreadsheet; JSON says exactly what is stored.  # R53"""
from __future__ import annotations

import io
import json
import random
import re

import pytest

from tests.support.product import cell, csv_writer, json_line

SIGNS = "=+-@＝＋－＠"


@pytest.mark.parametrize("text", [*(f"{sign}1+1" for sign in SIGNS), "\tx", "\rx", "\nx", "\0x",
                                  " =1", "\u00a0=1", "\u200b=1", "\ufeff=1", "\x01=1", "\u202e=1",
                                  "-", "=", "-1 day"])
def test_a_text_that_a_spreadsheet_runs_gets_an_apostrophe(text):
    assert cell(text) == "'" + text.replace("\0", "\ufffd")


@pytest.mark.parametrize("text", ["", "plain", "2026-11-24 14:30:05", "a-b@c.example", "'=1", "ünï",
                                  "🙂", "{\"a\": 1}", "1+1", "50 %", "<b>", " x", "a, b; c", "x=1"])
def test_any_other_text_stays(text):
    assert cell(text) == text


@pytest.mark.parametrize("value, shown", [(-3, -3), (-1.5, -1.5), (0, 0), (None, None),
                                          (float("inf"), "inf"), (float("-inf"), "'-inf"),
                                          (b"\x00\xff", "AP8=")])
def test_numbers_stay_numbers(value, shown):
    assert cell(value) == shown


def texts(number: int):
    chosen = random.Random(7)
    signs = [*SIGNS, *"\t\r\n\0 \u00a0\u200b\ufeff;,|\"'ab1.é🙂"]
    return ["".join(chosen.choices(signs, k=chosen.randint(1, 6))) for _ in range(number)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_whatever_the_separator_no_cell_begins_with_a_sign(separator):
    """Read as a program reads that knows nothing of quotes: the worst case."""
    file = io.StringIO()
    csv_writer(file).writerows([cell(value) for value in (1, text, -5)] for text in texts(3000))
    for piece in re.split(f"[\r\n{re.escape(separator)}]", file.getvalue()):
        start = re.sub(r'^[\s\0-\x1f"\u200b\ufeff]+', "", piece)
        assert start[:1] not in SIGNS or start == "-5" or not start, repr(piece)


def test_json_is_read_back_exactly():
    rows = [{"n": at, "text": text, "none": None, "real": -1.5, "big": 2 ** 63 - 1} for at, text in
            enumerate(texts(500))]
    assert [json.loads(json_line(row)) for row in rows] == rows
    assert all("\n" not in json_line(row) for row in rows)
