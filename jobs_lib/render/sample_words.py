"""What the demo says: each message before and after, the runs, the delivered mail, the notice, what to do next."""
from __future__ import annotations

import textwrap
from datetime import timedelta

from .. import clock
from . import times
from .words import outcome_words

WIDTH = 80
RETRIES = 4
SUBJECT, BEFORE = 27, 23         # columns; what became of it takes the rest
GOOD, BAD, WAITS = "green", "red", "yellow"


def heading(paint, words: str) -> list[str]:
    """An empty line and a heading."""
    return ["", paint("bold", words), paint("dim", "-" * len(words))]


def paragraph(words: str, indent: str = "") -> list[str]:
    """Words as lines of at most 80 columns; a long path is never broken."""
    return textwrap.wrap(words, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def queue(paint, before: dict, after: dict, now) -> list[str]:
    """The forwards, one a line: what waited, how it stood, what became of it."""
    lines = [paint("dim", _columns("no", "subject", "before", "after"))]
    for number, row in before.items():
        style, words = fate(row, after[number], now)
        subject = row["subject"] or "(its file is missing)"
        lines.append(_columns(str(number), subject, standing(row, now), "") + paint(style, words))
    return lines


def _columns(number: str, subject: str, before: str, after: str) -> str:
    return f"{number:>2}  {_cut(subject, SUBJECT):<{SUBJECT}}  {_cut(before, BEFORE):<{BEFORE}}  {after}"


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[:width - 3] + "..."


def standing(row: dict, now) -> str:
    """How a row stood before the run."""
    if row["status"] != "pending":
        return f"{row['status']} {span(now - clock.parse(row['finished_at']))} ago"
    wait = clock.parse(row["next_attempt_at"]) - now
    if wait.total_seconds() > 0:
        return f"in {span(wait)}: retry {row['attempts'] + 1} of {RETRIES}"
    if row["owner"] != "active":
        return f"due, owner {row['owner']}"
    return f"due: retry {row['attempts'] + 1} of {RETRIES}"


def fate(before: dict, after: dict, now) -> tuple[str, str]:
    """(style, words): what became of a row."""
    if after["status"] == "deleted":
        if not before["is_there"]:
            return "dim", "row deleted"
        return "dim", "row deleted, file kept" if after["is_there"] else "row and file deleted"
    if after["status"] != before["status"]:
        if after["status"] == "sent":
            return GOOD, "delivered"
        if after["notice_id"]:
            return BAD, "failed: owner told"
        if (after["last_error"] or "").startswith("cancelled"):
            return "dim", "cancelled"
        return BAD, "failed"
    if after["status"] == "pending":
        if after["owner"] == "suspended":
            return WAITS, "waits for its owner"
        return WAITS, f"waits, due in {span(clock.parse(after['next_attempt_at']) - now)}"
    if before["is_there"] and not after["is_there"]:
        return "dim", "its file is deleted"
    return "dim", "kept for now"


def span(length) -> str:
    """`40 min`, `5 h`, `9 d`: to the minute, since the rows were made to the second."""
    return times.span(timedelta(minutes=round(length.total_seconds() / 60)))


def outcomes(results: list[dict]) -> list[str]:
    """One run a line, or a little more."""
    return [line for result in results for line in
            textwrap.wrap(outcome_words(result), WIDTH, initial_indent="  ", subsequent_indent="      ")]


def notice(paint, row: dict, sender: str) -> list[str]:
    """A queued notice, framed, as its reader will see it."""
    letter = [f"From:    {sender}", f"To:      {row['to_email']}", f"Subject: {row['subject']}", "",
              *row["body_text"].rstrip("\n").split("\n")]
    bar = paint("cyan", "|")
    return [f"  {bar} {line}".rstrip() for long in letter for line in _folded(long, WIDTH - 4)]


def _folded(line: str, width: int) -> list[str]:
    """A long line as a mail reader folds it, each part indented like the first."""
    indent = line[:len(line) - len(line.lstrip())]
    return textwrap.wrap(line.strip(), width, initial_indent=indent, subsequent_indent=indent) or [""]


def history(paint, rows: list[dict]) -> list[str]:
    """The table `job_runs`, oldest first."""
    width = max(len(row["job"]) for row in rows)
    return [paint("dim", f"  {'job':<{width}}  {'started (UTC)':<19}  {'trigger':<9}  {'outcome':<8}  took"),
            *(f"  {row['job']:<{width}}  {row['started_at']}  {row['trigger_type']:<9}  "
              + paint(GOOD if row["status"] == "ok" else BAD, f"{row['status']:<8}")
              + f"  {row['duration_ms'] or 0} ms" for row in reversed(rows))]


def command_lines(paint, commands: list[tuple[str, str]]) -> list[str]:
    """(command, what it does): the meaning above, dim, so that a line can be copied as a whole."""
    return [line for command, meaning in commands
            for line in (paint("dim", f"  # {meaning}"), f"  {command}")]
