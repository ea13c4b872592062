"""What `status`, `list`, `history` and dry runs print: what needs the operator, queues, jobs and
their runs, as wide as the terminal; 80 columns are enough."""
from __future__ import annotations

import sys
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.stored import one_line
from jobs_lib.engines.due import in_words
from jobs_lib.runner.outcome import counts_words
from jobs_lib.text import counted, size, span, took

from .findings import in_full, of_incident
from .layout import GAP, table, wrapped
from .screen import INDENT, Screen

SHORT = slice(5, 16)  # of `2026-11-24 13:00:00`
WIDTH, SAMPLE_CELL = 80, 34  # columns: of a dry run's tables, of their cells
COLOURS = {"ok": "green", "partial": "yellow", "interrupted": "yellow", "running": "cyan",
           "skipped": "dim"}
STARTED_BY = {"scheduled": "cron", "continue": "goes on", "manual": "hand", "worker": "worker"}


# status

def status(found: dict, screen: Screen) -> str:
    """The whole answer. `found`: monitoring/overview.py."""
    return "\n".join([*_incidents(found, screen), "", *_queues(found, screen), "",
                      *_jobs(found, screen), "", *_host(found, screen), screen.clock()])


def _incidents(found: dict, screen: Screen) -> list[str]:
    lines = [screen.paint("bold", f"{found['verdict']}.")]
    for each in found["incidents"]:
        lines += ["", *in_full(of_incident(each), screen.paint)]
    paused = ", ".join(job["name"] for job in found["jobs"] if job["state"] == "paused")
    return [*lines, *(wrapped(f"Paused: {paused}.", screen.width, "", "  ") if paused else ())]


def _cut_below(text: str, screen: Screen) -> str:
    return INDENT + one_line(text, screen.width - len(INDENT))


def _queues(found: dict, screen: Screen) -> list[str]:
    rows = [[queue["what"], in_words(queue["depth"]), in_words(queue["due"]), _oldest(queue),
             f"{queue['done_last_day']:,} done, {queue['failed_last_day']:,} failed",
             "stalled" if queue["stalled_since"] else ""] for queue in found["queues"]]
    head, *lines = table([["QUEUE", "WAITING", "DUE", "OLDEST", "LAST 24 H", ""], *rows], "lrrrll")
    return [screen.paint("bold", head), *(
        part for queue, line in zip(found["queues"], lines) for part in (
            screen.paint("red" if queue["stalled_since"] else "", line),
            *(_cut_below(words, screen) for words in queue["holds"])))]


def _oldest(queue: dict) -> str:
    if not queue["due"]:
        return "-"
    if not queue["oldest_due_at"]:
        return stored.UNKNOWN
    return span(timedelta(seconds=queue["oldest_due_seconds"]))


def _jobs(found: dict, screen: Screen) -> list[str]:
    """A line for each job, and below it what no incident reports already."""
    rows = []
    for job in found["jobs"]:
        outcome, began = "-", "-"
        if job["last"]:
            outcome, began = job["last"]["status"], screen.at(job["last"]["started_at"] or "")
        rows.append([job["name"], outcome, began, _next(job, screen)])
    head, *each_job = table([["JOB", "LAST", "BEGAN", "NEXT"], *rows])
    lines = [screen.paint("bold", head)]
    reported = {name for each in found["incidents"] for name in each["jobs"]}
    for job, line in zip(found["jobs"], each_job):
        lines.append(screen.paint(_colour(job["last"]), line))
        lines += [_cut_below(note, screen) for note in _notes(job, screen, reported)]
    return lines


def _next(job: dict, screen: Screen) -> str:
    """When it runs next; one that is late, or behind a cron that has stopped, is in a note or an
    incident."""
    if not job["next_at"]:
        return job["state"]
    if job["due_since"]:
        return "overdue" if job["overdue"] else "due now"
    return screen.at(job["next_at"])


def _notes(job: dict, screen: Screen, reported: set) -> list[str]:
    """What is not well with a job; of one that an incident has `reported`, what it leaves out."""
    notes = []
    if job["invalid"]:
        rows = counted(job["invalid"], "invalid row")
        notes.append(f"{rows} in its last run: its log says which")
    if job["name"] in reported:
        return notes
    if job["failures"]:
        last = job["last_ok_at"]
        good = f"last good run {screen.at(last)}" if last else "no good run yet"
        notes.append(f"{job['failures']:,} failed in a row, {good}")
        if job["error"]:
            notes.append(job["error"])
    if job["late_since"]:
        notes.append(f"late: due since {screen.at(job['late_since'])}")
    elif job["overdue"]:
        notes.append(f"overdue: due since {screen.at(job['due_since'])}")
    return notes


def _host(found: dict, screen: Screen) -> list[str]:
    sent = [f"{window['sent']:,} of {window['limit']:,} recipients this {window['name']}"
            for window in found["mail"]["windows"]]
    if found["mail"]["paused_until"]:
        sent.insert(0, f"paused until {screen.at(found['mail']['paused_until'])}")
    disks = [f"{size(disk['free'])} free of {size(disk['total'])} ({', '.join(disk['holds'])})"
             for disk in found["disks"]]
    return [line for title, facts in (("Mail: ", sent), ("Disk: ", disks)) if facts
            for line in wrapped("; ".join(facts), screen.width, title, "      ")]


# list and history

def listing(jobs: list[dict], notes: list[str], screen: Screen) -> str:
    """Each job in a line; on a terminal too narrow for it, without its schedule."""
    rows = [["JOB", "WHEN", "LAST", "AGO", "NEXT"], *(_line(job, screen) for job in jobs)]
    found = table(rows)
    if (max(map(len, found)) > screen.width and sys.stdout is not None and sys.stdout.isatty()):
        found = table([[row[0], *row[2:]] for row in rows])
    head, *lines = found
    lines = [screen.paint(_colour(job["last_run"]), line) for job, line in zip(jobs, lines)]
    return "\n".join([*(line for note in notes for line in [*wrapped(note, screen.width), ""]),
                      screen.paint("bold", head), *lines])


def _colour(run: dict | None) -> str:
    return COLOURS.get(run["status"], "red") if run else ""


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
    reason = one_line(run["error"] or run["stop_reason"] or "", sys.maxsize)
    found = "; ".join(filter(None, (counts_words(run["counts"]), reason)))
    return found or ("nothing to do" if run["status"] == "ok" else "")


def history(runs: list[dict], screen: Screen, width: int | None) -> str:
    """A line a run, newest first.

    Where there is a `width`, what does not fit beside a run is shown below it, cut; where even the
    line does not fit, the year and the seconds are left out.
    """
    rows = [["STARTED", "JOB", "BY", "OUTCOME", "TOOK"],
            *(_cells(run, screen) for run in runs)]
    if width and max(map(len, table(rows))) > width:
        rows = [rows[0], *([row[0][SHORT], *row[1:]] for row in rows[1:])]
    head, *each_run = table(rows)
    full = max(map(len, (head, *each_run)))
    room = (width or sys.maxsize) - full - len(GAP)
    lines = [f"{head:<{full}}{GAP}WHAT" if len("WHAT") <= room else head]
    for line, run in zip(each_run, runs):
        what = _what(run)
        line = screen.paint(_colour(run), f"{line:<{full}}")
        if not width or len(what) <= room:
            lines.append(f"{line}{GAP}{what}".rstrip())
        else:
            lines += [line.rstrip(), INDENT + one_line(what, width - len(INDENT))]
    return "\n".join([*lines, "", f"Times are in {screen.zone_name}."])


def _cells(run: dict, screen: Screen) -> list[str]:
    """Of a run, without what it did."""
    started = stored.time(run["started_at"])
    return [f"{started.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if started else stored.UNKNOWN,
            run["job"],
            STARTED_BY.get(run["trigger_type"], run["trigger_type"] or stored.UNKNOWN),
            run["status"], took(run["duration_ms"])]


# dry runs

def dry_run(result: dict, samples: list[dict]) -> str:
    """What a dry run would do, under a heading of its own."""
    return "\n".join([f"{result['job']}, dry run: nothing is changed", *dry_lines(result, samples)])


def dry_lines(result: dict, samples: list[dict]) -> list[str]:
    """What a dry run would do: a title a step, then a small table of rows."""
    lines = []
    for sample in samples:
        lines += ["", f"  {sample['step']}"]
        if sample["note"]:
            lines += wrapped(sample["note"], WIDTH, "  ", "  ")
        if rows := sample["rows"]:
            values = [[row.get(name) for name in rows[0]] for row in rows]
            lines += [f"    {line}" for line in table([[*rows[0]], *values], width=WIDTH - 4,
                                                      widest=SAMPLE_CELL)]
    if result["status"] == "failed":
        return [*lines, "", f"  it would fail: {result['error']}"]
    counts = counts_words(result["counts"])
    reason = f" ({result['stop_reason']})" if result["stop_reason"] else ""
    return [*lines, "", f"  would be: {counts}{reason}" if counts else f"  nothing to do{reason}"]
