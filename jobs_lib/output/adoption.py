"""What `adopt` prints: each job with what it would do at once, then what starts them."""
from __future__ import annotations

from .layout import wrapped
from .screen import INDENT, Screen
from .tables import joined, padded

OLD_ROWS = ("Some of that is due only because columns were added without the UPDATEs printed below "
            "them. To leave old rows alone, run this before you confirm:")

CASCADES = "with them, by foreign keys of your app (ON DELETE CASCADE): rows of"


def adoption(found: dict, screen: Screen) -> str:
    """The whole answer. `found`: monitoring/adoption.py."""
    head = "What each job would do at once with the rows that your app has. Nothing is changed."
    jobs = [job for job in found["jobs"] if job["enabled"]]
    busy = [job for job in jobs if job["items"] or job["refuses"] or job["not_counted"]]
    lines = wrapped(head, screen.width)
    for problem in found["problems"]:
        lines += wrapped(problem, screen.width, "! ", "  ")
    lines += ["", *_jobs(busy, screen)] if busy else []
    idle = [job["name"] for job in jobs if job not in busy]
    if idle:
        lines += ["", *wrapped(f"Nothing at once: {', '.join(idle)}.", screen.width)]
    if others := [job["name"] for job in found["jobs"] if job not in jobs]:
        lines += ["", *wrapped(f"Left out (disabled): {', '.join(others)}.", screen.width)]
    if found["old_rows"]:
        lines += ["", *wrapped(OLD_ROWS, screen.width), "", *found["old_rows"]]
    on = [job["name"] for job in jobs]
    off = [name for name in found["unconfirmed"] if name in on]
    return "\n".join([*lines, "", *wrapped(end(off), screen.width)])


def end(off: list[str]) -> str:
    """Which jobs stay off, and what starts them."""
    if not off:
        return "All jobs that are switched on are confirmed."
    who = f"{len(off)} jobs are" if len(off) > 1 else f"{off[0]} is"
    return (f"{who} not confirmed, and off until then. To start them, or only some: `jobs.py adopt "
            "--confirm [JOB ...]`. Those that you do not want: enabled = no in their section.")


def _jobs(jobs: list[dict], screen: Screen) -> list[str]:
    rows = [["", "AT ONCE", "OWNERS"]]
    rows += [[f"  {item['act']} {item['what']}", _number(item["number"], item["more"]) + _of(item),
              _owners(item)] for job in jobs for item in job["items"]]
    head, *table = map(joined, padded(rows, "lrr"))
    lines = [screen.paint("bold", head)] if table else []
    for job in jobs:
        lines.append(f"{screen.paint('bold', job['name'])}: {_state(job, screen)}")
        for item in job["items"]:
            lines.append(table.pop(0))
            if item["sample"]:
                lines += wrapped(_who(item), screen.width, INDENT, INDENT)
        if job["items"] and job["cascades"]:
            lines += wrapped(f"{CASCADES} {', '.join(job['cascades'])}", screen.width, INDENT,
                             INDENT)
        for why, text in (("refuses", job["refuses"]), ("not counted", job["not_counted"])):
            if text:
                lines += wrapped(f"{why}: {text}", screen.width, INDENT, INDENT)
    return lines


def _state(job: dict, screen: Screen) -> str:
    return "confirmed" if job["confirmed"] else screen.paint("yellow", "not confirmed")


def _number(number: int, more: bool) -> str:
    return f"{number:,}{'+' if more else ''}"


def _of(item: dict) -> str:
    return "" if item["of"] is None else f" of {item['of']:,}"


def _owners(item: dict) -> str:
    is_shown = item["owners"] or item["notifies"]
    return _number(item["owners"], item["owners_more"]) if is_shown else ""


def _who(item: dict) -> str:
    if not item["owners"]:                  # names of files
        return f"such as {', '.join(item['sample'])}"
    more = "such as " if item["owners"] > len(item["sample"]) else ""
    return f"{'notified' if item['notifies'] else 'of'}: {more}{', '.join(item['sample'])}"
