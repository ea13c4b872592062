"""The parts of the status page around its table of jobs, and the texts that they share."""
from __future__ import annotations

from datetime import date
from html import escape

from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.text import moment, size

BAD, NONE = "\u2715", "\u2013"
# {outcome: (style, sign)}
OUTCOMES = {"ok": ("ok", "\u2713"), "partial": ("early", "\u25d0"),
            "interrupted": ("early", "\u25d0"), "running": ("none", "\u25b8"),
            "skipped": ("none", NONE)}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WINDOWS = {"minute": "this minute", "hour": "in the last hour", "day": "in the last day"}


class Times:
    """Times as the page shows them."""

    def __init__(self, now, zone) -> None:
        self.now, self.zone = now, zone

    def made(self) -> str:
        """When the page was made, as text."""
        local = self.now.astimezone(self.zone)
        return (f'<time datetime="{self.now:%Y-%m-%dT%H:%M:%SZ}">{local.day} '
                f'{MONTHS[local.month - 1]} {local:%H:%M}</time>')

    def at(self, text: str | None) -> str:
        """A time as short as it is clear; `unknown` where the database holds none."""
        found = stored.time(text)
        return escape(moment(found, self.now, self.zone)) if found else stored.UNKNOWN


def day_name(text: str) -> str:
    """A day as `24 Nov`."""
    day = date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    return f"{day.day} {MONTHS[day.month - 1]}"


def total(days) -> dict[str, int]:
    """The runs of several days, as one."""
    days = list(days)
    return {key: sum(day[key] for day in days) for key in ("ok", "early", "bad")}


def runs(day: dict) -> str:
    """A day's runs as `288 runs, 2 failed`."""
    number = day["ok"] + day["early"] + day["bad"]
    parts = [f"{number:,} run" if number == 1 else f"{number:,} runs"]
    if day["early"]:
        parts.append(f"{day['early']:,} ended early")
    parts.append(f"{day['bad']:,} failed" if day["bad"] else "none failed")
    return ", ".join(parts)


def badge(job: dict) -> str:
    """A job's last outcome as a sign and a word, or what keeps it from running."""
    if job["state"] == "misconfigured":
        return _badge("bad", f"{BAD} {job['state']}")
    if job["state"] in ("off", "paused"):
        return _badge("none", f"{NONE} {job['state']}")
    if job["last"] is None:
        return _badge("none", f"{NONE} no run yet")
    status = job["last"]["status"]
    style, sign = OUTCOMES.get(status, ("bad", BAD))
    outcome = _badge(style, f"{sign} {escape(status)}")
    return f"{outcome} {_badge('bad', '! late')}" if job["late_since"] else outcome


def _badge(style: str, text: str) -> str:
    return f'<span class="badge {style}">{text}</span>'


def definitions(*marks: tuple[str, str]) -> str:
    """What the marks of a chart mean."""
    keys = "".join('<span><svg class="chart" viewBox="0 0 14 14" aria-hidden="true">'
                   f'<rect class="{style}" width="14" height="14"/></svg>{escape(text)}</span>'
                   for style, text in marks)
    return f'<div class="key">{keys}</div>'


def queues(found: dict, times: Times) -> str:
    """What waits: how much, and since when."""
    stalled_first = sorted(found["queues"], key=lambda queue: not queue["stalled_since"])
    cards = "".join(_queue(queue, times) for queue in stalled_first)
    return (f'<section><h2 id="queues">Queues</h2><div class="grid queues">{cards}</div></section>'
            if cards else "")


def _queue(queue: dict, times: Times) -> str:
    if queue["stalled_since"]:
        state = _badge("bad", "! stalled")
    else:
        state = _badge("ok", "\u2713 moving") if queue["depth"] else _badge("none", "\u2713 empty")
    facts = "nothing is due"
    if queue["due"]:
        facts = f"the oldest due {times.at(queue['oldest_due_at'])}"
    facts += (f"; {queue['done_last_day']:,} done and {queue['failed_last_day']:,} failed in "
              "24 hours")
    if queue["uncertain_last_day"]:
        facts += f", {queue['uncertain_last_day']:,} lost in flight and tried again"
    return (f'<div class="card" id="queue-{escape(queue["name"])}"><div class="pair">'
            f'<h3>{escape(_capital(queue["what"]))}</h3>'
            f'{state}</div><p class="big">{in_words(queue["depth"])} <small>waiting, '
            f'{in_words(queue["due"])} due</small></p><p class="soft">{facts}</p></div>')


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def host(found: dict, times: Times) -> str:
    """What was sent against the limits, whether sending is paused, and the space that is left."""
    mail, lines = found["mail"], []
    if mail["paused_until"]:
        lines.append(f'{_badge("bad", "! paused")} No mail is sent until '
                     f'{times.at(mail["paused_until"])}.')
    lines += [f"{each['sent']:,} of {each['limit']:,} recipients {WINDOWS[each['name']]}"
              for each in mail["windows"]] or ["No limit is set in [mail], so nothing is counted."]
    disks = [f"{size(disk['free'])} free of {size(disk['total'])} for "
             f"{escape(', '.join(disk['holds']))}" for disk in found["disks"]]
    cards = "".join(f'<div class="card" id="{title.lower()}"><h3>{title}</h3>'
                    + "".join(f"<p>{line}</p>" for line in facts) + "</div>"
                    for title, facts in (("Mail", lines), ("Disk", disks)))
    return f'<section><h2 id="host">Host</h2><div class="grid">{cards}</div></section>'
