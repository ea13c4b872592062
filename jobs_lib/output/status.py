"""What `status` prints: what needs somebody first, then the queues, then the jobs in short; 80
columns are enough."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.monitoring.queues import in_words
from jobs_lib.text import counted, moment, size, span

from .layout import cut, wrapped
from .listing import COLOURS

INDENT = "    "
WINDOWS = {"minute": "minute", "hour": "hour", "day": "day"}


def status(found: dict, zone, zone_name: str, width: int, paint) -> str:
    """The whole answer."""
    say = _Times(clock.parse(found["generated_at"]), zone)
    lines = [*_troubles(found, width, paint), "", *_queues(found, paint), "",
             *_jobs(found, say, width, paint), "", *_host(found, say, width)]
    return "\n".join([*lines, f"It is {say.at(found['generated_at'])} in {zone_name}."])


class _Times:
    def __init__(self, now, zone) -> None:
        self.now, self.zone = now, zone

    def at(self, text: str | None) -> str:
        return moment(clock.parse(text), self.now, self.zone) if text else "-"

    def began(self, run: dict | None) -> str:
        """When this run began."""
        return "-" if run is None else self.at(run["started_at"]) if run["started_at"] else stored.UNKNOWN


def _troubles(found: dict, width: int, paint) -> list[str]:
    troubles = found["troubles"]
    if not troubles:
        return [paint("green", "All is well.") if found["last_run_at"] else "No job has run yet."]
    lines = [paint("bold", "1 thing needs you." if len(troubles) == 1 else f"{len(troubles)} "
                   "things need you.")]
    for each in troubles:
        lasts = f" (for {span(timedelta(seconds=each['seconds']))})" if each["seconds"] else ""
        first, *rest = wrapped(each["subject"] + lasts, width, "! ", "  ")
        lines += ["", paint("red", first), *(paint("red", line) for line in rest),
                  *wrapped(each["what"], width, INDENT, INDENT)]
        if each["error"]:
            lines.append(INDENT + cut(" ".join(each["error"].split()), width - len(INDENT)))
        if each["command"]:
            lines.append(f"{INDENT}-> {each['command']}")
    return lines


def _queues(found: dict, paint) -> list[str]:
    rows = [[queue["what"], f"{queue['depth']:,}", in_words(queue["due"]),
             "-" if not queue["due"] else span(timedelta(seconds=queue["oldest_due_seconds"]))
             if queue["oldest_due_at"] else stored.UNKNOWN,
             f"{queue['done_last_day']:,} done, {queue['failed_last_day']:,} failed",
             "stalled" if queue["stalled_since"] else ""] for queue in found["queues"]]
    return _table(["QUEUE", "WAITING", "DUE", "OLDEST", "LAST 24 H", ""], rows, "lrrrll",
                  lambda row: "red" if row[-1] else "", paint)


def _jobs(found: dict, say: _Times, width: int, paint) -> list[str]:
    rows = []
    for job in found["jobs"]:
        last = job["last"]
        rows.append([job["name"], last["status"] if last else "-", say.began(last),
                     say.at(job["next_at"]) if job["next_at"] else job["state"]])
    lines = _table(["JOB", "LAST", "BEGAN", "NEXT"], rows, "llll", lambda row: COLOURS.get(row[1],
                                                                                           "red")
                   if row[1] != "-" else "", paint)
    told = " ".join(f"{each['subject']} {each['what']}" for each in found["troubles"])
    # then that is why they are late
    stopped = any(each["kind"] == "cron" for each in found["troubles"])
    for at in range(len(found["jobs"]), 0, -1):
        # from below: what is said of a job stands under it
        job = found["jobs"][at - 1]
        if job["name"] not in told:
            lines[at + 1:at + 1] = [INDENT + cut(words, width - len(INDENT))
                                    for words in _notes(job, say, stopped)]
    return lines


def _notes(job: dict, say: _Times, stopped: bool) -> list[str]:
    notes = []
    if job["failures"]:
        good = f"last good run {say.at(job['last_ok_at'])}" if job["last_ok_at"] else "no good run yet"
        notes.append(f"{job['failures']:,} failed in a row, {good}")
        if job["error"]:
            notes.append(" ".join(job["error"].split()))
    if job["invalid"]:
        notes.append(f"{counted(job['invalid'], 'invalid row')} in its last run: its log says which")
    if job["late_since"] and not stopped:
        notes.append(f"late: due since {say.at(job['late_since'])}")
    return notes


def _host(found: dict, say: _Times, width: int) -> list[str]:
    sent = [f"{window['sent']:,} of {window['limit']:,} recipients this {window['name']}"
            for window in found["mail"]["windows"]]
    if found["mail"]["paused_until"]:
        sent.insert(0, f"paused until {say.at(found['mail']['paused_until'])}")
    disks = [f"{size(disk['free'])} free of {size(disk['total'])} ({', '.join(disk['holds'])})"
             for disk in found["disks"]]
    return [line for title, words in (("Mail: ", sent), ("Disk: ", disks)) if words
            for line in wrapped("; ".join(words), width, title, "      ")]


def _table(heads: list[str], rows: list[list[str]], sides: str, colour, paint) -> list[str]:
    """Lines in columns, `l`eft or `r`ight; `colour(row)` is of the whole line."""
    rooms = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]

    def line(cells: list[str]) -> str:
        return "  ".join(cell.rjust(room) if side == "r" else cell.ljust(room)
                         for cell, room, side in zip(cells, rooms, sides)).rstrip()
    return [paint("bold", line(heads)), *(paint(colour(row), line(row)) for row in rows)]
