"""The status page: one HTML file without a script, fit to be published, from the document of
overview.py. How it looks is in status.html and strip.html; here it gets its values.

It holds nothing from a user, a sender or the host's files: only names of jobs and queues, numbers,
times and fixed texts. Its style is inline, allowed by its hash, and nothing else is loaded.
"""
from __future__ import annotations

import base64
import hashlib
import os
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.text import capital, counted, moment, size, span, took, up_to
from jobs_lib.text.mustache import render

BAD, NONE, WELL, PART = "\u2715", "\u2013", "\u2713", "\u25d0"
# {outcome, or what keeps a job from running: (style, sign)}
OUTCOMES = {"ok": ("ok", WELL), "partial": ("early", PART), "interrupted": ("early", PART),
            "running": ("none", "\u25b8"),
            **dict.fromkeys(("skipped", "off", "paused", "no run yet"), ("none", NONE))}
WINDOWS = {"minute": "this minute", "hour": "in the last hour", "day": "in the last day"}
PROBLEMS = ("misconfigured", "failing", "late")
# {how the names of a group's jobs begin: its title}
GROUPS = {prefix: title for title, prefixes in (
    ("Deliver", ("retry", "send")),
    ("Check and count", ("check", "rollup")),
    ("Exports, closed accounts, expiry", ("export", "delete", "expire")),
    ("Delete or archive past the retention", ("purge", "archive"))) for prefix in prefixes}
OTHERS, UNKNOWN = "Others", "unknown"
# of a strip, in the units of strip.html
WIDTH, HEIGHT, LEAST = 10, 34, 3.0


def page(found: dict, zone) -> str:
    """The whole page, as HTML."""
    template, view = source("status.html"), _View(found, zone)
    style = template.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    local, mail = view.now.astimezone(zone), found["mail"]
    queues = sorted(found["queues"], key=lambda queue: not queue["stalled_since"])
    hero = "well" if found["last_run_at"] else "none"
    values = {
        "style_hash": digest,
        "verdict": found["verdict"],
        "hero": "bad" if found["incidents"] else hero,
        "last_run": view.at(found["last_run_at"]),
        "waiting": f"{sum(queue['depth'] for queue in queues):,}",
        "zone": str(zone),
        "version": found["version"],
        "note": found.get("note"),
        "made_iso": f"{view.now:%Y-%m-%dT%H:%M:%SZ}",
        "made": f"{_day(local)} {local:%H:%M}",
        "has_incidents": bool(found["incidents"]),
        "incidents": [view.incident(each) for each in found["incidents"]],
        "has_queues": bool(queues),
        "queues": [view.queue(each) for each in queues],
        "groups": view.groups(),
        "paused": view.at(mail["paused_until"]),
        "windows": [
            {"sent": f"{each['sent']:,}", "limit": f"{each['limit']:,}",
             "window": WINDOWS[each["name"]]} for each in mail["windows"]],
        "disks": [
            {"free": size(disk["free"]), "size": size(disk["total"]),
             "holds": ", ".join(disk["holds"])} for disk in found["disks"]],
    }
    return render(template, values, html=True, name="status.html", partial=source)


def source(name: str) -> str:
    """A template beside this module."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, encoding="utf-8") as file:
        return file.read()


def _day(of) -> str:
    return f"{of.day} {of:%b}"


class _View:
    """The values of the page's parts."""

    def __init__(self, found: dict, zone) -> None:
        self.found, self.zone, self.now = found, zone, clock.parse(found["generated_at"])

    def at(self, text: str | None) -> str:
        """A time as short as it is clear; "" for none."""
        return moment(clock.parse(text), self.now, self.zone) if text else ""

    def incident(self, each: dict) -> dict:
        """One that needs you, with a link to the part of this page with more."""
        name, kind = each["key"].partition(":")[2], each["kind"]
        anchor = {"relay": kind, "disk": kind, "waiting": f"queue-{name}"}.get(
            kind, f"job-{name}" if name in each["jobs"] else "")
        return {
            "subject": each["subject"],
            "what": each["what"],
            # what the guard says names rows by their keys
            "held": kind == "guard",
            # since when a setting is wrong or a disk is full is not known
            "lasts": each["seconds"] and span(timedelta(seconds=each["seconds"])),
            "anchor": anchor,
            "command": each["command"].replace(self.found["program"], "python3 jobs.py"),
        }

    def queue(self, queue: dict) -> dict:
        """A card: how much waits, and since when, and what became of it."""
        style, badge = ("ok", f"{WELL} moving") if queue["depth"] else ("none", f"{WELL} empty")
        if queue["stalled_since"] or queue["holds"]:
            style, badge = ("bad", "! stalled") if queue["stalled_since"] else ("early", "held up")
        title = capital(queue["what"])
        return {
            "name": queue["name"],
            "what": title,
            "style": style,
            "badge": badge,
            "depth": up_to(queue["depth"]),
            "due": up_to(queue["due"]),
            "oldest": queue["due"] and (self.at(queue["oldest_due_at"]) or UNKNOWN),
            "done": f"{queue['done_last_day']:,}",
            "failed": f"{queue['failed_last_day']:,}",
            "lost": queue["uncertain_last_day"],
            **self.strip(title, queue["days"], _items),
        }

    def groups(self) -> list[dict]:
        """The jobs of one purpose together, those with problems first."""
        groups: dict[str, list] = {title: [] for title in (*GROUPS.values(), OTHERS)}
        for job in sorted(self.found["jobs"], key=lambda job: job["state"] not in PROBLEMS):
            groups[GROUPS.get(job["name"].partition("_")[0], OTHERS)].append(self.job(job))
        return [{"title": title, "jobs": jobs} for title, jobs in groups.items() if jobs]

    def job(self, job: dict) -> dict:
        """A row of the table."""
        last = job["last"] or {"status": "no run yet", "started_at": None, "duration_ms": None}
        stopped = job["state"] in ("misconfigured", "off", "paused")
        outcome = job["state"] if stopped else last["status"]
        style, sign = OUTCOMES.get(outcome, ("bad", BAD))
        return {
            "name": job["name"],
            "words": job["name"].replace("_", "_ ").split(),
            "when": job["when"],
            "row": "problem" if job["failures"] or job["late_since"] else "",
            "style": style,
            "badge": f"{sign} {outcome}",
            "began": self.at(last["started_at"]),
            "took": took(last["duration_ms"]),
            "failed": job["failures"],
            "many": job["failures"] > 1 and job["failures"],
            "late": self.at(job["late_since"]),
            "good": self.at(job["last_ok_at"]),
            "next": job["due"] or self.at(job["next_at"]) or "-",
            **self.strip(job["name"], job["days"], _runs),
        }

    def strip(self, name: str, days: dict, describe) -> dict:
        """What strip.html draws of 30 days: bars as tall as their weight, a shape or a pattern for
        the meaning of each colour, and a text for a mouse or a reader. `describe`: a function of a
        day: (its weight, its text)."""
        known = {date: describe(day) for date, day in days.items()}
        tallest = max([1, *(weight for weight, _ in known.values())])
        marks = []
        for number, date in enumerate(self.found["days"]):
            day, (weight, words) = days.get(date), known.get(date, (0, "nothing"))
            bars = [("hit", 0, HEIGHT), ("none", HEIGHT - 1, 1)]
            if day:
                # the root: one long day does not flatten the others
                tall = max(LEAST, (weight / tallest) ** 0.5 * HEIGHT * 0.72)
                bars[1] = ("early" if day["early"] else "ok", HEIGHT - tall, tall)
                if day["bad"]:
                    bars.append(("bad", 0, max(LEAST + 2, day["bad"] / day["number"] * HEIGHT)))
            marks.append({"day": f"{_day(clock.parse(date + ' 00:00:00'))}: {words}", "bars": [
                {"style": style, "x": WIDTH * number, "y": f"{y:.4g}", "height": f"{height:.4g}"}
                for style, y, height in bars]})
        failed = sum(day["bad"] for day in days.values())
        return {"strip": f"{name} in 30 days: {failed:,} failed", "days": marks}


def _runs(day: dict) -> tuple[int, str]:
    """How long a day's runs took, and `288 runs, 2 failed, 40 ms each`."""
    each = day["took_ms"] // day["number"]
    early = f", {day['early']:,} ended early" if day["early"] else ""
    return each, (f"{counted(day['number'], 'run')}{early}, {day['bad'] or 'none'} failed, "
                  f"{took(each)} each")


def _items(day: dict) -> tuple[int, str]:
    """How many a day's items were, and what became of them."""
    return day["number"], f"{day['number'] - day['bad']:,} done, {day['bad']:,} failed"
