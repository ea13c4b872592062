"""The parts of the status page around its table of jobs, and the texts that they share."""
from __future__ import annotations

from datetime import date
from html import escape

from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.text import moment, size

from . import charts

BAD, NONE = "\u2715", "\u2013"
# {outcome: (style, sign)}
OUTCOMES = {"ok": ("ok", "\u2713"), "partial": ("early", "\u25d0"),
            "interrupted": ("early", "\u25d0"), "running": ("none", "\u25b8"),
            "skipped": ("none", NONE)}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WINDOWS = {"minute": "this minute", "hour": "in the last hour", "day": "in the last day"}
NEARLY = 0.9                     # of a limit or a disk
SHOWN_TABLES = 8
SIZES = """<div class="card table sizes"><table>\
<caption class="soft">The largest tables. Rows are counted from the first id to the last, so there \
may be fewer.</caption>\
<thead><tr><th scope="col">Table</th><th scope="col" class="number">Rows, at most</th>\
<th scope="col" class="number">Size</th></tr></thead><tbody>{rows}</tbody></table></div>"""


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


def mail(found: dict, times: Times, private: bool) -> str:
    """What was sent against the limits, and whether sending is paused."""
    facts = found["mail"]
    rows = "".join(_window(window) for window in facts["windows"])
    if facts["paused_until"]:
        why = f": {facts['reason']}" if private and facts["reason"] else ""
        rows = (f'<p>{_badge("bad", "! paused")} No mail is sent until '
                f'{times.at(facts["paused_until"])}{escape(why)}.</p>{rows}')
    rows = rows or '<p class="soft">No limit is set in [mail], so nothing is counted.</p>'
    return ('<section><h2 id="mail">Mail sent against the limits</h2>'
            f'<div class="card">{rows}</div></section>')


def _window(window: dict) -> str:
    sent, limit = window["sent"], window["limit"]
    text = f"{sent:,} of {limit:,} recipients {WINDOWS[window['name']]}"
    return _meter(text, f"({sent * 100 // limit} %)", sent / limit, text)


def _meter(name: str, text: str, share: float, label: str) -> str:
    return (f'<div class="meter-row"><div class="pair"><span>{escape(name)}</span>'
            f'<span class="soft">{text}</span></div>{charts.meter(share, label, NEARLY)}</div>')


def history(found: dict) -> str:
    """The chart of all runs of 30 days."""
    jobs = found["jobs"]
    if not any(job["days"] for job in jobs):
        return ""
    days = {name: total(job["days"][name] for job in jobs if name in job["days"])
            for name in found["days"]}
    whole = runs(total(days.values()))
    most = max(sum(day.values()) for day in days.values())
    chart = charts.stacked([(f"{day_name(name)}: {runs(day)}", day["ok"], day["early"], day["bad"])
                            for name, day in days.items()], f"Runs of all jobs in 30 days: {whole}")
    worst = "".join(f"<li>{escape(text)}</li>" for text in _worst(jobs))
    return ('<section><h2 id="runs">Runs in 30 days</h2><div class="card">'
            f'<div class="pair"><span>{whole}</span>'
            f'<span class="soft">at most {most:,} a day</span></div>'
            f'<div class="whole">{chart}</div>{_ends(day_name(found["days"][0]))}'
            + definitions(("ok", "ok"), ("early", "ended early, to continue"), ("bad", "failed"))
            + (f'<ul class="soft">{worst}</ul>' if worst else "") + "</div></section>")


def _worst(jobs: list[dict]) -> list[str]:
    """A sentence for each of the jobs that failed most."""
    failed = [(total(job["days"].values())["bad"], job) for job in jobs]
    worst = sorted((pair for pair in failed if pair[0]), key=lambda pair: -pair[0])[:5]
    return [f"{job['name']} failed {number:,} {'time' if number == 1 else 'times'}, last on "
            f"{day_name(max(name for name, day in job['days'].items() if day['bad']))}"
            for number, job in worst]


def storage(found: dict) -> str:
    """Free space and large tables."""
    disks = "".join(_disk(disk) for disk in found["disks"])
    rows = "".join(_table(table) for table in found["tables"][:SHOWN_TABLES]
                   if table["rows"] != 0)
    table = SIZES.format(rows=rows) if rows else ""
    return ('<section><h2 id="disk">Disk and tables</h2><div class="grid">'
            f'<div class="card">{disks}'
            f'<p class="soft">The database takes {size(found["database_bytes"])}.</p></div>'
            f'{table}</div></section>')


def _disk(disk: dict) -> str:
    used = 1 - disk["free"] / disk["total"] if disk["total"] else 0
    holds, text = ", ".join(disk["holds"]), f"{size(disk['free'])} free of {size(disk['total'])}"
    return _meter(_capital(holds), text, used, f"{holds}: {text}")


def _table(table: dict) -> str:
    taken = size(table["bytes"]) if table["bytes"] is not None else "-"
    rows = f"{table['rows']:,}" if table["rows"] is not None else "-"
    return (f'<tr><th scope="row">{escape(table["name"])}</th><td '
            f'class="number">{rows}</td><td class="number">{taken}</td></tr>')


def _ends(first: str) -> str:
    return f'<div class="ends" aria-hidden="true"><span>{first}</span><span>today</span></div>'
