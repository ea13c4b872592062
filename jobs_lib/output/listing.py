"""What `list` and `history` print: jobs and their runs, as wide as the terminal."""
from __future__ import annotations

import json
from datetime import datetime, tzinfo

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.runner.outcome import counts_words
from jobs_lib.text import moment, span, took

from .console import WIDEST, columns
from .layout import cut, one_line, wrapped

INDENT = "    "
SHORT = slice(5, 16)         # of `2026-11-24 13:00:00`
COLOURS = {"ok": "green", "partial": "yellow", "interrupted": "yellow", "running": "cyan",
           "skipped": "dim"}
STARTED_BY = {"scheduled": "cron", "continue": "goes on", "manual": "hand", "worker": "worker"}


def listing(jobs: list[dict], now: datetime, zone: tzinfo, zone_name: str, notes: list[str],
            paint) -> str:
    """Each job in three lines: its name and schedule, what it does, when next and how last."""
    width = min(columns(), WIDEST)
    lines = [line for note in notes for line in [*wrapped(note, width), ""]]
    room = max((len(job["name"]) for job in jobs), default=0)
    for job in jobs:
        head, *rest = wrapped(job["when"] or job["schedule"], width, f"{job['name']:<{room}}  ",
                              " " * (room + 2))
        lines += [paint("bold", head[:room]) + head[room:], *rest,
                  *wrapped(f"{job['summary']}.", width, INDENT, INDENT),
                  *wrapped(f"{_next(job, now, zone)}; {_last(job['last_run'], now)}", width, INDENT,
                           INDENT)]
        lines += [line for problem in job["problems"] for line in wrapped(problem, width, INDENT,
                                                                          INDENT)]
        lines.append("")
    return "\n".join([*lines, f"It is {now.astimezone(zone):%H:%M} in {zone_name}."])


def _next(job: dict, now: datetime, zone: tzinfo) -> str:
    if job["problems"]:
        return "Does not run: its configuration is wrong"
    if not job["enabled"]:
        return "Switched off (enabled = no)"
    if job["paused_at"]:
        paused = stored.time(job["paused_at"])
        return f"Paused since {moment(paused, now, zone)}" if paused else "Paused, since when is unknown"
    if job["due_since"]:
        since = moment(clock.parse(job["due_since"]), now, zone)
        return f"Overdue since {since} (is cron running?)" if job["overdue"] else f"Due now, since {since}"
    return "Next " + ", ".join(moment(clock.parse(time), now, zone) for time in job["next"])


def _last(run: dict | None, now: datetime) -> str:
    if run is None:
        return "no run yet"
    started = stored.time(run["started_at"])
    if started is None:
        return f"last {run['status']} at an unknown time"
    ago = span(now - started)
    if run["status"] == "running":
        return f"running for {ago}" + (f" ({_what(run)})" if _what(run) else "")
    return f"last {run['status']} {ago} ago" + (f" ({cut(_what(run), WIDEST)})" if _what(run)
                                                else "")


def _what(run: dict) -> str:
    """What came of a run, or how far it is: counts, a reason, an error."""
    if run["status"] == "running":
        return counts_words(run["progress"])
    words = [counts_words(run["counts"]),
             one_line(_progress_in_words(run["error"] or run["stop_reason"] or ""))]
    return "; ".join(word for word in words if word) or ("nothing to do" if run["status"] == "ok"
                                                         else "")


def _progress_in_words(error: str) -> str:
    """What is told of a run that died holds its last progress as JSON, as the table does."""
    start, _, rest = error.partition("last progress: {")
    held, brace, end = rest.rpartition("}")
    if not brace:
        return error
    try:
        return f"{start}last progress: {counts_words(json.loads('{' + held + '}'))}{end}"
    except ValueError:
        return error


def history(runs: list[dict], zone: tzinfo, zone_name: str, job: str | None, width: int | None,
            paint, whole: bool = False) -> str:
    """A line a run, newest first. Where there is a `width`, what does not fit in it stands below:
    cut, or as `whole` folded; and where even the line does not fit, the year and the seconds go."""
    heads = ["STARTED", *([] if job else ["JOB"]), "BY", "OUTCOME", "TOOK"]
    rows = [[_started(run, zone), *([] if job else [run["job"]]),
             STARTED_BY.get(run["trigger_type"], run["trigger_type"] or stored.UNKNOWN),
             run["status"], took(run["duration_ms"])] for run in runs]
    if width and _whole(_rooms(heads, rows)) > width:
        rows = [[row[0][SHORT], *row[1:]] for row in rows]
    rooms = _rooms(heads, rows)
    lines = [_line(heads, rooms, None, paint) + "  WHAT"]
    if width and len(lines[0]) > width:
        lines[0] = lines[0][:-len("  WHAT")]
    for row, run in zip(rows, runs):
        line, what = _line(row, rooms, run["status"], paint), _what(run)
        if width and what and len(what) > width - _whole(rooms) - 2:
            below = wrapped(what, width, INDENT, INDENT) if whole else [INDENT
                                                                        + cut(what,
                                                                              width - len(INDENT))]
            lines += [line.rstrip(), *below]
        else:
            lines.append(f"{line}  {what}".rstrip())
    return "\n".join([*lines, "", f"Times are in {zone_name}."])


def _rooms(heads: list[str], rows: list[list[str]]) -> list[int]:
    return [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]


def _whole(rooms: list[int]) -> int:
    return sum(rooms) + 2 * (len(rooms) - 1)


def _started(run: dict, zone: tzinfo) -> str:
    started = stored.time(run["started_at"])
    return f"{started.astimezone(zone):%Y-%m-%d %H:%M:%S}" if started else stored.UNKNOWN


def _line(words: list[str], rooms: list[int], status: str | None, paint) -> str:
    cells = [f"{word:<{room}}" for word, room in zip(words, rooms)]
    if status is None:
        return "  ".join(cells)
    cells[-2] = paint(COLOURS.get(status, "red"), cells[-2])
    return "  ".join(cells)
