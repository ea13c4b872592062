"""What `jobs.py test` says: the job and what it needs, its log in words, and what changed in a
sandbox."""
from __future__ import annotations

import textwrap

from jobs_lib import clock
from jobs_lib.text import moment

from .tables import table

WIDTH = 80
# of a table; of the log, the spool and the outbox: more are counted
MOST_ROWS, MOST_LINES = 5, 15
# Kept with every run, whatever it does: a line for all of it is enough.
BOOKS = ("job_runs", "job_state", "mail_counters", "relay_state", "meta", "spool_suspects")
COLUMN = 9                   # of the labels


def about(paint, job: dict) -> list[str]:
    """The job in a few lines: when it runs, with which options, what it needs and whether that is
    there."""
    lines = [paint("bold", f"{job['job']}: {job['summary']}"), ""]
    lines += _group(paint, "when", [("", f"{job['when']}; {job['last']}")])
    lines += _group(paint, "options", [("", f"{name} = {value}") for name,
                                       value in job["options"].items()])
    return lines + _group(paint, "needs", [
        ("red" if need["state"] == "missing" else "",
         f"{need['need']} {need['what']}: {need['words']}")
        for need in job["needs"]])


def _group(paint, label: str, parts: list[tuple[str, str]]) -> list[str]:
    """Words (style, text) in a column of their own, folded, behind a label on the first line."""
    lines = [paint(style, line) for style, words in parts
             for line in textwrap.wrap(words, WIDTH - COLUMN - 2, break_long_words=False,
                                       break_on_hyphens=False, subsequent_indent="  ")]
    labels = [label] + [""] * len(lines)
    return [f"  {paint('dim', f'{word:<{COLUMN}}')}{line}" for word, line in zip(labels, lines)]


def events(lines: list[dict]) -> list[str]:
    """The log of a run in words: time, what happened, and its fields."""
    shown = [line for line in lines if line["event"] not in ("run started", "run ended")]
    words = []
    for line in shown[:MOST_LINES]:
        fields = ", ".join(f"{name.replace('_', ' ')} "
                           f"{', '.join(value) if isinstance(value, list) else value}" for name,
                           value in line.items()
                           if name not in ("time", "level", "event", "job", "run_id")
                           and value not in (None, ""))
        words += textwrap.wrap(f"{line['time'][11:]}  {line['event']}: {fields}", WIDTH,
                               initial_indent="  ", subsequent_indent=" " * 12,
                               break_long_words=False, break_on_hyphens=False)
    if len(shown) > MOST_LINES:
        words.append(f"  ... and {len(shown) - MOST_LINES:,} more lines")
    return words


def changes(paint, found: dict, sample: tuple = ()) -> list[str]:
    """Which rows of which table changed, and how; of one that is gone, the columns of the job's
    `sample`."""
    lines = []
    for name, counts in found.items():
        if name in BOOKS:
            continue
        lines.append(f"  {paint('bold', name)}: {_how_many(counts)}")
        for row in counts["rows"][:MOST_ROWS]:
            lines += _row(row, sample)
        more = sum(counts[kind] for kind in ("added", "changed", "deleted")) - MOST_ROWS
        if more > 0:
            lines.append(f"    ... and {more:,} more")
    books = [f"{name} {_how_many(counts)}" for name, counts in found.items() if name in BOOKS]
    return lines + ([f"  the runs' own books: {'; '.join(books)}"] if books else [])


def _how_many(counts: dict) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in ("added", "changed", "deleted")
                     if counts[kind])


def _row(row: dict, sample: tuple) -> list[str]:
    """Its key, then a line for each column that is not as it was."""
    lines = [f"    {', '.join(f'{name} {value}' for name, value in row['key'].items())}"]
    if row["change"] == "deleted":
        was = ", ".join(f"{name} {_value(row['columns'][name][0])}" for name in sample
                        if name in row["columns"])
        return textwrap.wrap(f"{lines[0].strip()}  deleted{f': {was}' if was else ''}", WIDTH,
                             initial_indent="    ", subsequent_indent="      ",
                             break_on_hyphens=False)
    if row["change"] == "added":
        lines[0] += "  added"
    width = max(map(len, row["columns"]), default=0) + 1
    for name, (old, new) in row["columns"].items():
        words = _value(new) if row["change"] == "added" else f"{_value(old)} -> {_value(new)}"
        if row["change"] == "changed" or new not in (None, ""):
            lines += textwrap.wrap(words, WIDTH, initial_indent=f"      {name + ':':<{width}} ",
                                   subsequent_indent=" " * (width + 9), break_on_hyphens=False)
    return lines


def _value(value) -> str:
    words = "-" if value is None or value == "" else str(value)
    words = " ".join("".join(char if char.isprintable() else " " for char in words).split())
    return words if len(words) <= 60 else words[:59] + "\u2026"


def spool(found: dict) -> list[str]:
    """Which files came, changed and went."""
    lines = [f"  {kind}: {name}" for kind in ("added", "changed", "deleted")
             for name in found[kind][:MOST_LINES]]
    more = sum(map(len, found.values())) - len(lines)
    return lines + ([f"  ... and {more:,} more"] if more else [])


def outbox(mail: list[dict]) -> list[str]:
    """The mail that would have gone out."""
    lines = [f"  {line}" for line in table(mail[:MOST_LINES], width=WIDTH - 2)]
    return lines + ([f"  ... and {len(mail) - MOST_LINES:,} more"] if len(mail) > MOST_LINES
                    else [])


def last_run(row: dict | None, zone, now) -> str:
    """`last run ok, at 15:00`."""
    if row is None:
        return "never ran"
    return f"last run {row['status']}, at {moment(clock.parse(row['started_at']), now, zone)}"
