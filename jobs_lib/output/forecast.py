"""What `forecast` prints: what stands out first, then each job with its numbers, then the mail."""
from __future__ import annotations

from datetime import date

from jobs_lib.database import stored
from jobs_lib.engines.outlook import MOST
from jobs_lib.text import counted

from .layout import left_out, wrapped
from .screen import Screen
from .tables import joined, padded


def forecast(found: dict, screen: Screen) -> str:
    """The whole answer. `found`: monitoring/forecast.py."""
    until = screen.at(found["until"])
    lines = [screen.paint("bold", f"The next {counted(found['days'], 'day')}, until {until}, if no "
                          "row is added or changed"),
             *_warnings(found, screen), "", *_jobs(found, screen), *_rest(found, screen), "",
             *_mail(found, screen), screen.clock()]
    return "\n".join(lines)


def _warnings(found: dict, screen: Screen) -> list[str]:
    lines = []
    for each in found["warnings"]:
        head = wrapped(each["subject"], screen.width, "! ", "  ")
        lines += ["", *(screen.paint("yellow", line) for line in head), *screen.below(each["what"])]
        lines += screen.below(each["fix"]) if each["fix"] else []
    for problem in found["problems"]:
        lines += ["", *wrapped(problem, screen.width, "! ", "  ")]
    return lines


def _number(number: int, more: bool = False) -> str:
    return "-" if not number and not more else f"{number:,}{'+' if more else ''}"


def _jobs(found: dict, screen: Screen) -> list[str]:
    """A table of what becomes due, below the name of its job."""
    shown = [(job, [item for item in job["items"] if item["total"] or item["held_back"]
                    or item["more"]]) for job in found["jobs"]]
    shown = [(job, items) for job, items in shown
             if items or (job["not_counted"] and not _is_left_out(job))]
    if not shown:
        return ["Nothing becomes due."]
    rows = [["", "DUE NOW", "IN ALL", "BUSIEST DAY"]]
    for _, items in shown:
        rows += [[f"  {item['act']} {item['what']}", _number(item["now"], item["now"] >= MOST),
                  _number(item["total"], item["more"]), _busiest(item)] for item in items]
    head, *table = map(joined, padded(rows, "lrrl"))
    lines = [screen.paint("bold", head)]
    for job, items in shown:
        lines.append(f"{screen.paint('bold', job['name'])}: {_when(job, screen)}")
        for item in items:
            lines.append(table.pop(0))
            if item["held_back"]:
                are = "is" if item["held_back"] == 1 else "are"
                lines += screen.below(f"{item['held_back']:,} more {are} old enough, and {are} "
                                      "kept for another reason")
        if job["not_counted"]:
            lines += screen.below(f"not counted: {job['not_counted']}")
    return lines


def _is_left_out(job: dict) -> bool:
    """Whether its tables lack something, and nobody minds."""
    return job["incomplete"] and not job["enabled"]


def _busiest(item: dict) -> str:
    if not item["busiest_day"]:
        return ""
    day = date.fromisoformat(item["busiest_day"])
    return f"{item['busiest']:,} on {day:%a} {day.day} {day:%b}"


def _when(job: dict, screen: Screen) -> str:
    if not job["enabled"]:
        return screen.paint("yellow", "disabled, none of this will be done")
    if job["paused_at"]:
        return screen.paint("yellow", f"paused since {screen.at(job['paused_at'])}, none of this "
                            "will be done")
    if job["unconfirmed"]:
        return screen.paint("yellow", "not confirmed, none of this will be done")
    return f"next run {screen.at(job['next_run'])}"


def _rest(found: dict, screen: Screen) -> list[str]:
    """Rules that are off, and that + means more."""
    off = [f"{job['name']}: {what}" for job in found["jobs"] for what in job["off"]]
    lines = wrapped(f"Switched off: {', '.join(off)}.", screen.width) if off else []
    lines += left_out([job["name"] for job in found["jobs"] if _is_left_out(job)],
                      screen.width)
    if any(item["more"] for job in found["jobs"] for item in job["items"]):
        lines += wrapped(f"+: there are more; a count ends at {MOST:,} rows a day, or when its "
                         "time is over.", screen.width)
    return ["", *lines] if lines else []


def _mail(found: dict, screen: Screen) -> list[str]:
    """What waits to be sent, and when that is done."""
    mail = found["mail"]
    waiting = [queue for queue in found["queues"] if queue["waiting"]]
    text = "" if waiting else "No mail and no delivery waits. "
    for queue in waiting:
        text += f"{_wait(queue['waiting'], queue['name'])}{_unsent(queue)}. "
    for queue in (queue for queue in found["queues"] if queue["by_app"]):
        are = "is" if queue["by_app"] == 1 else "are"
        text += (f"{counted(queue['by_app'], queue['name'][:-1])} {are} in flight by your app, and "
                 "left alone. ")
    if mail["paused_until"]:
        text += f"Mail is paused until {screen.at(mail['paused_until'])}. "
    if mail["bound_by"]:
        text += (f"With {mail['bound_by']} all mail that is not held up otherwise is sent by "
                 f"{screen.at(mail['done_at'])} at the earliest. ")
    elif mail["waiting"] and stored.time(mail["done_at"]):
        text += f"The mail limits let {counted(mail['waiting'], 'message')} go at once. "
    if mail["notices"]:
        more = "+" if mail["notices_more"] else ""
        text += (f"Owners are to be notified of {mail['notices']:,}{more} items, one notice an "
                 f"owner and run; at most {mail['busiest_notices']:,} of one kind in a day. ")
    limits = [f"{each['limit']:,} per {each['per']}" for each in mail["limits"]]
    text += f"Limits: {', '.join(limits)}." if limits else "No mail limit is set."
    return wrapped(text, screen.width, "Mail: ", "      ")


def _wait(number: int, name: str) -> str:
    return f"{counted(number, name[:-1])} {'waits' if number == 1 else 'wait'}"


def _unsent(queue: dict) -> str:
    """Why some of a queue, or all of it, will not be sent as things are."""
    if not queue["runs"]:
        return f", and {queue['job']} does not run"
    if queue["suspended"]:
        return f", {queue['suspended']:,} of them because the owner is suspended"
    return ""
