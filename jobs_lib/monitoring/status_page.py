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
from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.features.notifications.render import render
from jobs_lib.text import counted, moment, size, span, took

BAD, NONE, WELL, PART = "\u2715", "\u2013", "\u2713", "\u25d0"
# {outcome: (style, sign)}
OUTCOMES = {"ok": ("ok", WELL), "partial": ("early", PART), "interrupted": ("early", PART),
            "running": ("none", "\u25b8"), "skipped": ("none", NONE)}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WINDOWS = {"minute": "this minute", "hour": "in the last hour", "day": "in the last day"}
PROBLEMS = ("misconfigured", "failing", "late")
# {how the names of a group's jobs begin: its title}
GROUPS = {prefix: title for title, prefixes in (
    ("Deliver", ("retry", "send")),
    ("Check and count", ("check", "rollup")),
    ("Exports, closed accounts, expiry", ("export", "delete", "expire")),
    ("Delete or archive past the retention", ("purge", "archive"))) for prefix in prefixes}
OTHERS = "Others"
# of a strip, in the units of strip.html
WIDTH, HEIGHT, LEAST = 10, 34, 3.0


def page(found: dict, zone, zone_name: str) -> str:
    """The whole page, as HTML."""
    template, view = source("status.html"), _View(found, zone)
    style = template.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    local, mail = view.now.astimezone(zone), found["mail"]
    queues = sorted(found["queues"], key=lambda queue: not queue["stalled_since"])
    values = {
        "verdict": found["verdict"], "hero": "bad" if found["incidents"] else
        "well" if found["last_run_at"] else "none",
        "last_run": found["last_run_at"] and view.at(found["last_run_at"]),
        "waiting": f"{sum(queue['depth'] for queue in queues):,}",
        "style_hash": digest, "zone": zone_name,
        "version": found["version"], "note": found.get("note"),
        "made_iso": f"{view.now:%Y-%m-%dT%H:%M:%SZ}",
        "made": f"{_day(local)} {local:%H:%M}",
        "has_incidents": bool(found["incidents"]), "has_queues": bool(queues),
        "incidents": [view.incident(each) for each in found["incidents"]],
        "queues": [view.queue(each) for each in queues], "groups": view.groups(),
        "paused": mail["paused_until"] and view.at(mail["paused_until"]),
        "windows": [{"sent": f"{each['sent']:,}", "limit": f"{each['limit']:,}",
                     "window": WINDOWS[each["name"]]} for each in mail["windows"]],
        "disks": [{"free": size(disk["free"]), "size": size(disk["total"]),
                   "holds": ", ".join(disk["holds"])} for disk in found["disks"]]}
    return render(template, values, html=True, name="status.html", partial=source)


def source(name: str) -> str:
    """A template beside this module."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, encoding="utf-8") as file:
        return file.read()


def _day(of) -> str:
    return f"{of.day} {MONTHS[of.month - 1]}"


class _View:
    """The values of the page's parts."""

    def __init__(self, found: dict, zone) -> None:
        self.found, self.zone, self.now = found, zone, clock.parse(found["generated_at"])

    def at(self, text: str | None) -> str:
        """A time as short as it is clear; `unknown` where the database holds none."""
        time = stored.time(text)
        return moment(time, self.now, self.zone) if time else stored.UNKNOWN

    def incident(self, each: dict) -> dict:
        """One that needs you, with a link to the part of this page with more."""
        name, kind = each["key"].partition(":")[2], each["kind"]
        parts = ["relay", "disk", *(f"queue-{queue['name']}" for queue in self.found["queues"]),
                 *(f"job-{job['name']}" for job in self.found["jobs"])]
        wanted = (kind, f"queue-{name}", f"job-{name}")
        return {"subject": each["subject"], "what": each["what"],
                # what the guard says names rows by their keys
                "held": kind == "guard",
                # since when a setting is wrong or a disk is full is not known
                "lasts": each["seconds"] and span(timedelta(seconds=each["seconds"])),
                "anchor": next((part for part in wanted if part in parts), ""),
                "command": each["command"].replace(self.found["program"], "python3 jobs.py")}

    def queue(self, queue: dict) -> dict:
        """A card: how much waits, and since when, and what became of it."""
        badge = ("bad", "! stalled") if queue["stalled_since"] else (
            ("ok", f"{WELL} moving") if queue["depth"] else ("none", f"{WELL} empty"))
        title = queue["what"][:1].upper() + queue["what"][1:]
        return {"name": queue["name"], "what": title, "badges": _badges(badge),
                "oldest": queue["due"] and self.at(queue["oldest_due_at"]),
                "done": f"{queue['done_last_day']:,}", "failed": f"{queue['failed_last_day']:,}",
                "lost": queue["uncertain_last_day"],
                "depth": in_words(queue["depth"]), "due": in_words(queue["due"]),
                **self.strip(title, queue["days"], _items, _number)}

    def groups(self) -> list[dict]:
        """The jobs of one purpose together, those with problems first."""
        groups: dict[str, list] = {title: [] for title in (*GROUPS.values(), OTHERS)}
        for job in sorted(self.found["jobs"], key=lambda job: job["state"] not in PROBLEMS):
            groups[GROUPS.get(job["name"].partition("_")[0], OTHERS)].append(self.job(job))
        return [{"title": title, "jobs": jobs} for title, jobs in groups.items() if jobs]

    def job(self, job: dict) -> dict:
        """A row of the table."""
        last, following = job["last"], "-"
        if job["state"] == "paused":
            following = "paused"
        elif job["next_at"] and job["due_since"]:
            following = "overdue" if job["overdue"] else "due now"
        elif job["next_at"]:
            following = self.at(job["next_at"])
        return {"name": job["name"], "words": job["name"].replace("_", "_ ").split(),
                "when": job["when"],
                "row": "problem" if job["failures"] or job["late_since"] else "",
                "failed": job["failures"], "many": job["failures"] > 1 and job["failures"],
                "late": job["late_since"] and self.at(job["late_since"]),
                "good": job["last_ok_at"] and self.at(job["last_ok_at"]),
                "badges": _badges(*_outcome(job)), "next": following,
                "began": self.at(last["started_at"]) if last else "",
                "took": took(last and last["duration_ms"]),
                **self.strip(job["name"], job["days"], _runs, _mean)}

    def strip(self, name: str, days: dict, text, weight) -> dict:
        """What strip.html draws of 30 days: bars as tall as their weight, a shape or a pattern for
        the meaning of each colour, and a text for a mouse or a reader. `text`, `weight`: functions
        of a day."""
        tallest, marks = max(map(weight, days.values()), default=0) or 1, []
        for number, date in enumerate(self.found["days"]):
            day, words = days.get(date), "nothing"
            bars = [("hit", 0, HEIGHT), ("none", HEIGHT - 1, 1)]
            if day:
                words = text(day)
                # the root: one long day does not flatten the others
                share = (weight(day) / tallest) ** 0.5
                tall = max(LEAST, share * HEIGHT * 0.72)
                bars[1] = ("early" if day["early"] else "ok", HEIGHT - tall, tall)
                if day["bad"]:
                    share = day["bad"] / day["number"]
                    bars.append(("bad", 0, max(LEAST + 2, share * HEIGHT)))
            marks.append({"day": f"{_day(clock.parse(date + ' 00:00:00'))}: {words}", "bars": [
                {"style": style, "x": WIDTH * number, "y": f"{y:.4g}", "height": f"{height:.4g}"}
                for style, y, height in bars]})
        failed = sum(day["bad"] for day in days.values())
        return {"strip": f"{name} in 30 days: {failed:,} failed", "days": marks}


def _badges(*badges: tuple[str, str]) -> list[dict]:
    return [{"style": style, "text": text} for style, text in badges]


def _outcome(job: dict) -> list[tuple[str, str]]:
    """A job's last outcome as a sign and a word, or what keeps it from running."""
    state = job["state"]
    if state in ("misconfigured", "off", "paused"):
        style, sign = ("bad", BAD) if state == "misconfigured" else ("none", NONE)
        return [(style, f"{sign} {state}")]
    if job["last"] is None:
        return [("none", f"{NONE} no run yet")]
    status = job["last"]["status"]
    style, sign = OUTCOMES.get(status, ("bad", BAD))
    return [(style, f"{sign} {status}"), *([("bad", "! late")] if job["late_since"] else [])]


def _number(day: dict) -> int:
    return day["number"]


def _mean(day: dict) -> int:
    return day["took_ms"] // day["number"]


def _runs(day: dict) -> str:
    """A day's runs as `288 runs, 2 failed, 40 ms each`."""
    early = f", {day['early']:,} ended early" if day["early"] else ""
    return (f"{counted(day['number'], 'run')}{early}, {day['bad'] or 'none'} failed, "
            f"{took(_mean(day))} each")


def _items(day: dict) -> str:
    return f"{day['number'] - day['bad']:,} done, {day['bad']:,} failed"
