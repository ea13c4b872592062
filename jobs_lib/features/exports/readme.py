"""The README.txt of an export: what the files hold, how to read them, and what is not in them."""
from __future__ import annotations

from textwrap import fill

WIDTH = 76
HEAD = """\
What our service has stored about you, as of {moment} UTC{moments}.

json/   each kind of data as one JSON file: exact, for programs
csv/    the same as tables, for a spreadsheet
manifest.json   how many rows each file has, its size and its SHA-256

    rows  file                        what it is
"""
TAIL = """\
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


def text(parts: list, moment: str, one_moment: bool) -> str:
    """`parts`: name, about and rows of each file; two of a kind, of which the JSON one is told."""
    moments = "" if one_moment else " and the minutes after (parts may be some minutes apart)"
    lines = [f"{part.rows:>8,}  {part.name.partition('/')[2].partition('.')[0]:<26}  {part.about}"
             for part in parts if part.name.startswith("json/")]
    notes = [fill(line, WIDTH, subsequent_indent="  ", break_long_words=False)
             for line in TAIL.splitlines()]
    return "\n".join([HEAD.format(moment=moment, moments=moments) + "\n".join(lines), "", *notes,
                      ""])
