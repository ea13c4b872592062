"""The status page: one HTML file without a script, fit to be published, from the document of
`monitoring/overview.py`.

It holds nothing from a user, a sender or the host's files: only names of jobs,
queues and tables, numbers, times and fixed texts. Its style is inline, allowed by its hash, and
nothing else is loaded.
"""
from __future__ import annotations

import base64
import hashlib
import os
from datetime import timedelta
from html import escape

from jobs_lib import clock
from jobs_lib.text import span, took

from . import charts, incidents
from .status_page_parts import (
    Times,
    badge,
    day_name,
    definitions,
    host,
    queues,
    runs,
    total,
)

BY_CRON = ("No shell? In your host's cron page, add a line with the command, written with the "
           "full paths of your line with run-due. Let it run once, read the mail that cron sends "
           "you, and remove the line.")
PROBLEMS = ("misconfigured", "failing", "late")
# {how the names of a group's jobs begin: its title}
GROUPS = {prefix: title for title, prefixes in (
    ("Deliver", ("retry", "send")),
    ("Check and count", ("check", "rollup")),
    ("Exports, closed accounts, expiry", ("export", "delete", "expire")),
    ("Delete or archive past the retention", ("purge", "archive"))) for prefix in prefixes}
OTHERS = "Others"
JOBS = """<section><h2 id="jobs">Jobs</h2>\
<div class="card table"><table aria-labelledby="jobs"><thead><tr><th scope="col">Job</th>\
<th scope="col">Last run</th><th scope="col">Next</th><th scope="col">Took</th>\
<th scope="col" class="days">30 days</th></tr></thead>{rows}</table></div>{key}</section>"""
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""


def page(found: dict, zone, zone_name: str) -> str:
    """The whole page, as HTML."""
    times = Times(clock.parse(found["generated_at"]), zone)
    title, made, zone_name = _verdict(found), times.made(), escape(zone_name)
    parts = {"": _hero(found, title, times), "Queues": queues(found, times),
             "Jobs": _jobs(found, times), "Host": host(found, times)}
    note = escape(f". {found['note']}") if found.get("note") else ""
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, part in parts.items()
                    if name and part)
    main = "\n".join(parts.values())
    return (f'{_head(title)}{charts.PATTERNS}\n<header><div class="pair"><h1>Background jobs</h1>'
            f'<span class="soft">as of {made} in {zone_name}{note}</span></div>'
            f'<nav aria-label="Parts of this page">{links}</nav></header>\n'
            f"<main>\n{main}\n</main>\n<footer>Made {made} ({zone_name}) by jobs.py "
            f'{escape(found["version"])}. '
            "If this page should be updated every few minutes and shows an older time, cron has "
            "stopped.</footer>\n</body>\n</html>\n")


def _head(title: str) -> str:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.css")
    with open(path, encoding="utf-8") as file:
        style = file.read().strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return HEAD.format(hash=digest, title=escape(title + " - background jobs"), style=style)


def _verdict(found: dict) -> str:
    number = len(found["incidents"])
    if number:
        return "1 thing needs you" if number == 1 else f"{number} things need you"
    states = {job["state"] for job in found["jobs"]}
    if "paused" in states and states <= {"paused", "off"}:
        return "Every job is paused"
    return "All is well" if any(job["last"] for job in found["jobs"]) else "Nothing has run yet"


def _hero(found: dict, title: str, times: Times) -> str:
    if found["incidents"]:
        links = _anchors(found)
        items = "".join(_incident(incident, links) for incident in found["incidents"])
        style = "hero bad"
        body = f'<ul class="incidents">{items}</ul><p class="soft">{escape(BY_CRON)}</p>'
    else:
        style = "hero" if any(job["last"] for job in found["jobs"]) else "hero none"
        body = f'<p class="soft">{_all_well(found, times)}</p>'
    return (f'<section class="card {style}"><p class="verdict">{escape(title)}</p>{body}</section>')


def _all_well(found: dict, times: Times) -> str:
    last = max((job["last"]["started_at"] or "" for job in found["jobs"] if job["last"]),
               default=None)
    if last is None:
        return ("No job has run so far. Cron starts them by its line with run-due; jobs.py crontab "
                "prints it.")
    sentences = [f"The last run began {times.at(last)}."]
    for state, title in (("failing", "Failed the last time, not yet often enough to need you"),
                         ("paused", "Paused"), ("off", "Switched off")):
        names = [job["name"] for job in found["jobs"] if job["state"] == state]
        if names:
            sentences.append(f"{title}: {escape(', '.join(names))}.")
    waiting = sum(queue["depth"] for queue in found["queues"])
    items = "item waits" if waiting == 1 else "items wait"
    return " ".join([*sentences, f"{waiting:,} {items} in the queues."])


def _anchors(found: dict) -> dict[str, str]:
    """{an incident's kind, or the end of its key: a link to the part of this page with more}."""
    queued = {queue["name"]: (f"queue-{queue['name']}", "the queue") for queue in found["queues"]}
    jobs = {job["name"]: (f"job-{job['name']}", "the job") for job in found["jobs"]}
    parts = {**jobs, **queued, "relay": ("mail", "mail"), "disk": ("disk", "disk space")}
    return {name: f' <a href="#{escape(anchor)}">See {text}</a>'
            for name, (anchor, text) in parts.items()}


def _incident(incident: dict, links: dict[str, str]) -> str:
    do, no_shell = incidents.KINDS[incident["kind"]]
    lines = f"<p>{escape(do)}</p>" if do else ""
    if incident["command"]:
        lines += f'<div><code>{escape(incident["command"])}</code></div>'
    if no_shell:
        lines += f'<p class="soft">{escape(no_shell)}</p>'
    # since when a setting is wrong or a disk is full is not known
    lasts = (f'<span class="soft">for {span(timedelta(seconds=incident["seconds"]))}</span>'
             if incident["seconds"] else "")
    link = links.get(incident["key"].partition(":")[2]) or links.get(incident["kind"], "")
    return f'<li><strong>{escape(incident["subject"])}</strong>{lasts}{link}{lines}</li>'


def _jobs(found: dict, times: Times) -> str:
    groups: dict[str, list] = {title: [] for title in (*GROUPS.values(), OTHERS)}
    for job in found["jobs"]:
        groups[GROUPS.get(job["name"].partition("_")[0], OTHERS)].append(job)
    rows = "".join(_group(title, jobs, found["days"], times)
                   for title, jobs in groups.items() if jobs)
    return JOBS.format(rows=rows, key=definitions(
        ("ok", "a day, as tall as its runs took long"), ("early", "some ended early, to continue"),
        ("bad", "hangs from the top: the share of runs that failed")))


def _group(title: str, jobs: list, days: list[str], times: Times) -> str:
    """The jobs of one purpose, those with problems first."""
    jobs = sorted(jobs, key=lambda job: job["state"] not in PROBLEMS)
    rows = "".join(_job(job, days, times) for job in jobs)
    return (f'<tbody><tr class="group"><th scope="rowgroup" colspan="5">{escape(title)}</th></tr>'
            f"{rows}</tbody>")


def _job(job: dict, days: list[str], times: Times) -> str:
    last, notes = job["last"], _notes(job, times)
    began = f' <span class="moment">{times.at(last["started_at"])}</span>' if last else ""
    note = "".join(f"<small>{escape(text)}</small>" for text in notes)
    following = times.at(job["next_at"]) if job["next_at"] else "-"
    if job["state"] == "paused":
        following = "paused"
    elif job["due_since"] and job["next_at"]:
        following = "overdue" if job["overdue"] else "due now"
    style, name = ' class="problem"' if notes else "", escape(job["name"]).replace("_", "_<wbr>")
    return (f'<tr{style} id="job-{escape(job["name"])}"><th scope="row">{name}'
            f'<small>{escape(job["when"])}</small></th>'
            f'<td class="last">{badge(job)}{began}{note}</td><td class="next">{following}</td>'
            f'<td class="took">{took(last and last["duration_ms"])}</td>'
            f'<td class="days">{_strip(job, days)}</td></tr>')


def _notes(job: dict, times: Times) -> list[str]:
    notes = []
    if job["failures"] > 1:
        notes.append(f"{job['failures']:,} failed in a row")
    if job["late_since"]:
        notes.append(f"due since {times.at(job['late_since'])}")
    if job["failures"]:
        notes.append(f"last good run {times.at(job['last_ok_at'])}" if job["last_ok_at"]
                     else "no good run yet")
    return notes


def _strip(job: dict, days: list[str]) -> str:
    longest = max((day["mean_ms"] for day in job["days"].values()), default=0) or 1
    marks = [_mark(name, job["days"].get(name), longest) for name in days]
    whole = runs(total(job["days"].values()))
    return charts.strip(marks, f"{job['name']} in 30 days: {whole}")


def _mark(name: str, day: dict | None, longest: int) -> tuple | None:
    """What charts.strip needs of one day. `longest`: milliseconds, of the day with the tallest."""
    if day is None:
        return None
    number = day["ok"] + day["early"] + day["bad"]
    label = (f"{day_name(name)}: {runs(day)}, {took(day['mean_ms'])} each, "
             f"{took(day['longest_ms'])} the longest")
    return label, day["mean_ms"] / longest, day["bad"] / number, bool(day["early"])
