"""What `status`, `list`, `history` and dry runs print: what needs the operator, queues, jobs and
their runs, as wide as the terminal; 80 columns are enough."""
from __future__ import annotations

import sys
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.text import counted, counts_words, one_line, size, span, took, up_to

from .findings import in_full, of_incident
from .layout import BELOW, GAP, UNKNOWN, Screen, table, wrapped
from .terminal import columns, is_terminal, paint

WIDTH, SAMPLE_CELL = 80, 36  # columns: of a dry run's tables, of their cells
TO_THE_MINUTE = 16           # characters of `2026-11-24 13:00:00`
COLOURS = {"-": "", "not yet": "", "ok": "green", "partial": "yellow", "interrupted": "yellow",
           "running": "cyan", "skipped": "dim"}
STARTED_BY = {"scheduled": "cron", "continue": "continued", "manual": "hand", "worker": "worker"}


# status

def status(found: dict, screen: Screen) -> str:
    """The whole answer. `found`: monitoring/overview.py."""
    return "\n".join([*_incidents(found, screen), "", *_queues(found, screen), "",
                      *_jobs(found, screen), "", *_host(found, screen), screen.clock()])


def _incidents(found: dict, screen: Screen) -> list[str]:
    lines = [paint("bold", f"{found['verdict']}.")]
    for each in found["incidents"]:
        lines += ["", *in_full(of_incident(each))]
    paused = ", ".join(job["name"] for job in found["jobs"] if job["state"] == "paused")
    others = ", ".join(job["name"] for job in found["jobs"]
                       if job["state"] not in ("paused", "off"))
    if len(others) < len(paused):
        paused = f"all jobs but {others}" if others else "all jobs"
    if paused:
        lines += wrapped(
            f"Paused: {paused} (`jobs.py resume {'all' if 'all jobs' in paused else 'JOB'}`).",
            screen.width, "", "  ")
    return lines


def _queues(found: dict, screen: Screen) -> list[str]:
    rows = [[queue["name"], up_to(queue["depth"]), up_to(queue["due"]), _oldest(queue),
             f"{queue['done_last_day']:,} done, {queue['failed_last_day']:,} failed",
             "stalled" if queue["stalled_since"] else ""] for queue in found["queues"]]
    head, *lines = table([["QUEUE", "WAITING", "DUE", "DUE FOR", "LAST 24 H", ""], *rows], "lrrrll")
    shown = [paint("bold", head)]
    for queue, line in zip(found["queues"], lines):
        shown.append(paint("red" if queue["stalled_since"] else "", line))
        # how to resume a job is said above
        for words in [each for each in queue["holds"] if "jobs.py resume" not in each]:
            shown += screen.below(words)
    return shown


def _oldest(queue: dict) -> str:
    if not queue["due"]:
        return "-"
    if not queue["oldest_due_at"]:
        return UNKNOWN
    return span(timedelta(seconds=queue["oldest_due_seconds"]))


def _jobs(found: dict, screen: Screen) -> list[str]:
    """A line for each job, and below it what no incident reports already."""
    rows = []
    for job in found["jobs"]:
        last = job["last"] or {
            "status": "not yet" if job["state"] == "new" else "-", "started_at": None}
        rows.append([job["name"], last["status"], screen.at(last["started_at"]),
                     _next(job) or screen.at(job["next_at"])])
    head, *each_job = table([["JOB", "LAST", "STARTED", "NEXT"], *rows])
    lines = [paint("bold", head)]
    reported = {name for each in found["incidents"] for name in each["jobs"]}
    for job, row, line in zip(found["jobs"], rows, each_job):
        lines.append(_coloured(row[1], line))
        lines += [each for note in _notes(job, screen, reported) for each in screen.below(note)]
    return lines


def _next(job: dict) -> str:
    """What is shown in the place of a job's next time, if anything."""
    return job["due"] if job["next_at"] else job["state"]


def _coloured(outcome: str, line: str) -> str:
    return paint(COLOURS.get(outcome, "red"), line)


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
        notes.append(f"{counted(job['failures'], 'failed run')}, {good}")
        if job["error"]:
            notes.append(job["error"])
    if job["late_since"] or job["due"] == "overdue":
        notes.append(f"late: due since {screen.at(job['late_since'] or job['due_since'])}")
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

def listing(jobs: list[dict], screen: Screen) -> str:
    """Each job in a line; on a terminal too narrow for it, without its schedule."""
    rows = [["JOB", "WHEN", "LAST", "AGO", "NEXT"]]
    for job in jobs:
        last = job["last"] or {
            "status": "not yet" if job["state"] == "new" else "-", "started_at": None}
        rows.append([job["name"], job["when"] or "-", last["status"],
                     _between(last["started_at"], screen) or "-",
                     _next(job) or f"in {_between(job['next_at'], screen)}"])
    head, *lines = table(rows)
    if _room() and max(map(len, (head, *lines))) > screen.width:
        head, *lines = table([[row[0], *row[2:]] for row in rows])
    return "\n".join([paint("bold", head), *(
        _coloured(row[2], line) for row, line in zip(rows[1:], lines))])


def _between(text: str | None, screen: Screen) -> str:
    """How far a time is away, in its largest unit alone: `12 h`; "" for none."""
    time = clock.shown(text)
    return " ".join(span(abs(screen.now - time)).split()[:2]) if time else ""


def _room() -> int:
    """The width of a terminal; 0 for whatever else reads it, which gets whole lines."""
    return columns() if is_terminal(sys.stdout) else 0


def history(runs: list[dict], most: int, screen: Screen) -> str:
    """A line a run, newest first, `most` at most; what does not fit beside it is below."""
    more = f"There are more: --limit {2 * most} shows more of them. " if runs[most:] else ""
    rows = [["STARTED", "JOB", "BY", "OUTCOME", "TOOK"], *([
        screen.at(run["started_at"] or ""), run["job"],
        STARTED_BY.get(run["trigger_type"], run["trigger_type"] or UNKNOWN),
        run["status"], took(run["duration_ms"])] for run in runs[:most])]
    head, *each_run = table(rows)
    full = max(map(len, (head, *each_run)))
    width = _room()
    lines = [paint("bold", f"{head:<{full}}{GAP}WHAT")]
    for line, run in zip(each_run, runs):
        what = _what(run)
        line = _coloured(run["status"], f"{line:<{full}}")
        if not width or full + len(GAP) + len(what) <= width:
            lines.append(f"{line}{GAP}{what}".rstrip())
        else:
            lines += [line.rstrip(), BELOW + one_line(what, width - len(BELOW))]
    return "\n".join([*lines, "", more + screen.clock()])


def _what(run: dict) -> str:
    """What a run did, or how far it is: counts, a reason, an error."""
    if run["status"] == "running":
        return counts_words(run["progress"])
    reason = one_line(run["error"] or run["stop_reason"] or "", sys.maxsize)
    found = "; ".join(filter(None, (counts_words(run["counts"]), reason)))
    return found or ("nothing to do" if run["status"] == "ok" else "")


# dry runs

def dry_lines(result: dict, samples: list[dict]) -> list[str]:
    """What a dry run would do: a title a step, then a small table of rows."""
    lines = []
    for sample in samples:
        lines += ["", f"  {sample['step']}"]
        if sample["note"]:
            lines += wrapped(sample["note"], WIDTH, "  ", "  ")
        if rows := sample["rows"]:
            values = [[_short(name, row.get(name)) for name in rows[0]] for row in rows]
            sides = "".join("k" if name == "id" or name.endswith("_at") else "l"
                            for name in rows[0])
            lines += [f"    {line}" for line in table([[*rows[0]], *values], sides, WIDTH - 4,
                                                      SAMPLE_CELL)]
    if result["status"] == "failed":
        return [*lines, "", *wrapped(f"it would fail: {result['error']}", WIDTH, "  ", "  ")]
    counts = counts_words(result["counts"])
    reason = f" ({result['stop_reason']})" if result["stop_reason"] else ""
    return [*lines, "", f"  would be: {counts}{reason}" if counts else f"  nothing to do{reason}"]


def _short(name: str, value):
    """A value of this column; times without their seconds."""
    return value[:TO_THE_MINUTE] if name.endswith("_at") and isinstance(value, str) else value
