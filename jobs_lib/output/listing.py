"""What `list` and `history` print: jobs and their runs, as wide as the terminal."""
from __future__ import annotations

import sys

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.runner.outcome import counts_words
from jobs_lib.text import span, took

from .layout import cut, one_line, wrapped
from .screen import INDENT, Screen
from .tables import GAP, joined, padded, total_width

SHORT = slice(5, 16)         # of `2026-11-24 13:00:00`
COLOURS = {"ok": "green", "partial": "yellow", "interrupted": "yellow", "running": "cyan",
           "skipped": "dim"}
STARTED_BY = {"scheduled": "cron", "continue": "goes on", "manual": "hand", "worker": "worker"}


def listing(jobs: list[dict], notes: list[str], screen: Screen) -> str:
    """Each job in a line; on a terminal too narrow for it, without its schedule."""
    rows = [["JOB", "WHEN", "LAST", "AGO", "NEXT"], *(_line(job, screen) for job in jobs)]
    if total_width(rows) > screen.width and sys.stdout is not None and sys.stdout.isatty():
        rows = [[row[0], *row[2:]] for row in rows]
    head, *lines = map(joined, padded(rows))
    lines = [screen.paint(_colour(job["last_run"]), line) for job, line in zip(jobs, lines)]
    return "\n".join([*(line for note in notes for line in [*wrapped(note, screen.width), ""]),
                      screen.paint("bold", head), *lines])


def _colour(run: dict | None) -> str:
    return COLOURS.get(run["status"], "red") if run and run["status"] != "ok" else ""


def _line(job: dict, screen: Screen) -> list[str]:
    run = job["last_run"]
    began = stored.time(run["started_at"]) if run else None
    states = (("misconfigured", job["problems"]), ("off", not job["enabled"]),
              ("paused", job["paused_at"]),
              ("overdue", job["overdue"]), ("due now", job["due_since"]))
    following = next((state for state, applies in states if applies), None)
    if following is None:
        following = f"in {_about(clock.parse(job['next']) - screen.now)}" if job["next"] else "-"
    return [job["name"], job["when"] or job["schedule"], run["status"] if run else "-",
            _about(screen.now - began) if began else "-", following]


def _about(length) -> str:
    """In its largest unit alone: `12 h`."""
    return " ".join(span(length).split()[:2])


def _what(run: dict) -> str:
    """What a run did, or how far it is: counts, a reason, an error."""
    if run["status"] == "running":
        return counts_words(run["progress"])
    reason = one_line(run["error"] or run["stop_reason"] or "")
    found = "; ".join(filter(None, (counts_words(run["counts"]), reason)))
    return found or ("nothing to do" if run["status"] == "ok" else "")


def history(runs: list[dict], job: str | None, screen: Screen, width: int | None) -> str:
    """A line a run, newest first.

    Where there is a `width`, what does not fit beside a run is shown below it, cut; where even the
    line does not fit, the year and the seconds are left out.
    """
    rows = [_heads(job), *(_cells(run, job, screen) for run in runs)]
    if width and total_width(rows) > width:
        rows = [rows[0], *([row[0][SHORT], *row[1:]] for row in rows[1:])]
    head, *table = padded(rows)
    room = (width or sys.maxsize) - total_width(rows) - len(GAP)
    lines = [joined([*head, "WHAT"] if len("WHAT") <= room else head)]
    for cells, run in zip(table, runs):
        what = _what(run)
        cells[-2] = screen.paint(COLOURS.get(run["status"], "red"), cells[-2])
        if not width or len(what) <= room:
            lines.append(joined([*cells, what]))
        else:
            lines += [joined(cells), INDENT + cut(what, width - len(INDENT))]
    return "\n".join([*lines, "", f"Times are in {screen.zone_name}."])


def _heads(job: str | None) -> list[str]:
    return ["STARTED", *([] if job else ["JOB"]), "BY", "OUTCOME", "TOOK"]


def _cells(run: dict, job: str | None, screen: Screen) -> list[str]:
    """Of a run, without what it did. With a `job` all are of this one."""
    started = stored.time(run["started_at"])
    return [f"{started.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if started else stored.UNKNOWN,
            *([] if job else [run["job"]]),
            STARTED_BY.get(run["trigger_type"], run["trigger_type"] or stored.UNKNOWN),
            run["status"], took(run["duration_ms"])]
