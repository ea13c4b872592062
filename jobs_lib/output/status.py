"""What `status` prints: what needs the operator first, then the queues, then the jobs in short; 80
columns are enough."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.text import counted, size, span

from .findings import in_full, of_incident
from .layout import cut, one_line, wrapped
from .listing import COLOURS
from .screen import INDENT, Screen
from .tables import joined, padded


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
    return INDENT + cut(one_line(text), screen.width - len(INDENT))


def _queues(found: dict, screen: Screen) -> list[str]:
    rows = [[queue["what"], in_words(queue["depth"]), in_words(queue["due"]), _oldest(queue),
             f"{queue['done_last_day']:,} done, {queue['failed_last_day']:,} failed",
             "stalled" if queue["stalled_since"] else ""] for queue in found["queues"]]
    head, *lines = map(joined, padded([["QUEUE", "WAITING", "DUE", "OLDEST", "LAST 24 H", ""],
                                       *rows], "lrrrll"))
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
    head, *table = map(joined, padded([["JOB", "LAST", "BEGAN", "NEXT"], *rows]))
    lines = [screen.paint("bold", head)]
    reported = {name for each in found["incidents"] for name in each["jobs"]}
    for job, line in zip(found["jobs"], table):
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


def _colour(last: dict | None) -> str:
    return COLOURS.get(last["status"], "red") if last else ""


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
