"""The status page: one HTML file without a script, fit to be published, from what
`monitoring/overview.py` tells.

Without `private` it holds nothing that a user, a sender or the host's files gave: names of jobs,
queues and tables, numbers, times, and words of our own. Its style stands inside, allowed by its
hash, and nothing else is loaded.
"""
from __future__ import annotations

import base64
import hashlib
import pkgutil
from datetime import timedelta
from html import escape

from jobs_lib import clock
from jobs_lib.text import span

from . import charts
from .status_page_parts import Words, badge, definitions, history, mail, queues, storage

TROUBLED = ("misconfigured", "failing", "late")
# A job's name begins with what it is for.
GROUPS = {"retry": "Deliver", "send": "Deliver", "check": "Check and count",
          "rollup": "Check and count", "export": "Exports, closed accounts, expiry",
          "delete": "Exports, closed accounts, expiry", "expire": "Exports, closed accounts, "
          "expiry", "purge": "Delete or archive past the retention", "archive": "Delete or archive "
          "past the retention"}
OTHERS = "Others"
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; \
form-action 'none'">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""


def page(found: dict, zone, zone_name: str, private: bool = False) -> str:
    """The whole page."""
    say = Words(clock.parse(found["generated_at"]), zone, private)
    title = _verdict(found)
    parts = [_hero(found, title, say), queues(found, say), _jobs(found, say), mail(found, say),
             history(found, say), storage(found, say)]
    return (_head(title) + charts.PATTERNS
            + '\n<header><div class="pair"><h1>Background jobs</h1><span class="soft">as of '
            f'{say.stamp()} in'
              f' {escape(zone_name)}</span></div></header>\n<main>\n' + "\n".join(parts)
            + f'\n</main>\n<footer>Made {say.stamp()} ({escape(zone_name)}) by jobs.py '
            f'{escape(found["version"])}.'
              " A page that is made again every few minutes and shows an older time than that "
            "means that cron has stopped.</footer>\n</body>\n</html>\n")


def _head(title: str) -> str:
    # works inside a .pyz too
    style = (pkgutil.get_data(__package__, "report.css") or b"").decode().strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return HEAD.format(hash=digest, title=escape(title + " - background jobs"), style=style)


def _verdict(found: dict) -> str:
    number = len(found["troubles"])
    if number:
        return "1 thing needs you" if number == 1 else f"{number} things need you"
    return "All is well" if any(job["last"] for job in found["jobs"]) else "Nothing has run yet"


def _hero(found: dict, title: str, say: Words) -> str:
    if not found["troubles"]:
        style = "hero" if any(job["last"] for job in found["jobs"]) else "hero none"
        return (f'<section class="card {style}"><p class="verdict">{escape(title)}</p>'
                f'<p class="soft">{_all_well(found, say)}</p></section>')
    items = "".join(_trouble(trouble, say) for trouble in found["troubles"])
    return (f'<section class="card hero bad"><p class="verdict">{escape(title)}</p>'
            f'<ul class="troubles">{items}</ul></section>')


def _all_well(found: dict, say: Words) -> str:
    last = max((job["last"]["started_at"] or "" for job in found["jobs"] if job["last"]),
               default=None)
    if last is None:
        return "No job has run so far. Cron starts them by its line with run-due; jobs.py crontab prints it."
    words = [f"The last run began {say.moment(last)}."]
    for state, title in (("failing", "Failed the last time, not yet often enough to need you"),
                         ("paused", "Paused"), ("off", "Switched off")):
        names = [job["name"] for job in found["jobs"] if job["state"] == state]
        if names:
            words.append(f"{title}: {escape(', '.join(names))}.")
    waiting = sum(queue["depth"] for queue in found["queues"])
    return " ".join([*words,
                     (f"{waiting:,} {'item waits' if waiting == 1 else 'items wait'} in the "
                     "queues.")])


def _trouble(trouble: dict, say: Words) -> str:
    words = "".join(f'<span class="error">{escape(trouble[name])}</span>' for name in ("what",
                                                                                       "error")
                    if say.private and trouble[name])
    command = f'<div><code>{escape(trouble["command"])}</code></div>' if trouble["command"] else ""
    more = f'<div class="soft">What it means: docs/alerts.md#{escape(trouble["kind"])}</div>'
    lasts = (f'<span class="soft">for {span(timedelta(seconds=trouble["seconds"]))}</span>' if trouble["seconds"]
             # of a wrong setting or a full disk it is not known
             else "")
    return f'<li><strong>{escape(trouble["subject"])}</strong>{lasts}{words}{command}{more}</li>'


def _jobs(found: dict, say: Words) -> str:
    rows = "".join(_group(title, [job for job in found["jobs"] if _title(job) == title],
                          found["days"], say) for title in (*dict.fromkeys(GROUPS.values()),
                                                            OTHERS))
    return ('<section><h2 id="jobs">Jobs</h2><div class="card table"><table '
            'aria-labelledby="jobs"><thead><tr>'
            '<th scope="col">Job</th><th scope="col">Last run</th><th scope="col">Next</th>'
            '<th scope="col">Took</th><th scope="col" class="days">30 days</th></tr></thead>'
            f"{rows}</table></div>"
            + definitions(("ok", "a day, as tall as its runs took long"),
                          ("early", "some ended early, to go on"),
                          ("bad", "hangs from the top: the share of runs that failed"))
            + "</section>")


def _title(job: dict) -> str:
    return GROUPS.get(job["name"].partition("_")[0], OTHERS)


def _group(title: str, jobs: list, days: list[str], say: Words) -> str:
    """The jobs that are for one thing, those first that fare badly."""
    if not jobs:
        return ""
    jobs = sorted(jobs, key=lambda job: job["state"] not in TROUBLED)
    return (f'<tbody><tr class="group"><th scope="rowgroup" colspan="5">{escape(title)}</th></tr>'
            + "".join(_job(job, days, say) for job in jobs) + "</tbody>")


def _job(job: dict, days: list[str], say: Words) -> str:
    last, notes = job["last"], []
    if job["failures"] > 1:
        notes.append(f"{job['failures']:,} failed in a row")
    if job["late_since"]:
        notes.append(f"due since {say.moment(job['late_since'])}")
    if job["failures"]:
        notes.append(f"last good run {say.moment(job['last_ok_at'])}" if job["last_ok_at"]
                     else "no good run yet")
    if say.private and job["error"]:
        notes.append(job["error"])
    when = f' <span class="moment">{say.moment(last["started_at"])}</span>' if last else ""
    note = "".join(f"<small>{escape(word)}</small>" for word in notes)
    following = say.moment(job["next_at"]) if job["next_at"] else "paused" if job["state"] == "paused" else "-"
    style, name = ' class="troubled"' if notes else "", escape(job["name"]).replace("_", "_<wbr>")
    return (f'<tr{style}><th scope="row">{name}<small>{escape(job["when"])}</small></th>'
            f'<td class="last">{badge(job)}{when}{note}</td><td class="next">{following}</td>'
            f'<td class="took">{say.took(job)}</td><td '
            f'class="days">{_strip(job, days, say)}</td></tr>')


def _strip(job: dict, days: list[str], say: Words) -> str:
    longest = max((day["mean_ms"] for day in job["days"].values()), default=0) or 1
    marks: list = []
    for name in days:
        day = job["days"].get(name)
        if day is None:
            marks.append(None)
            continue
        runs = day["ok"] + day["early"] + day["bad"]
        words = (f"{say.day(name)}: {say.runs(day)}, {say.length(day['mean_ms'])} each, "
                 f"{say.length(day['longest_ms'])} the longest")
        marks.append((words, day["mean_ms"] / longest, day["bad"] / runs, bool(day["early"])))
    total = {key: sum(day[key] for day in job["days"].values()) for key in ("ok", "early", "bad")}
    return charts.strip(marks, f"{job['name']} in 30 days: {say.runs(total)}")

