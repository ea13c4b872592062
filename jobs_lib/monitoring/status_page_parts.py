"""The parts of the status page below its table of jobs, and the words that they share."""
from __future__ import annotations

from datetime import date, timedelta
from html import escape

from jobs_lib.database import stored
from jobs_lib.text import moment, size, span, took

from . import charts
from .queues import in_words

BAD, NONE = "\u2715", "\u2013"
SIGNS = {"ok": "\u2713", "partial": "\u25d0", "interrupted": "\u25d0", "running": "\u25b8",
         "skipped": NONE}
STYLES = {"ok": "ok", "partial": "early", "interrupted": "early", "running": "none",
          "skipped": "none"}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WINDOWS = {"minute": "this minute", "hour": "in the last hour", "day": "in the last day"}
NEARLY = 0.9                     # of a limit or a disk
SHOWN_TABLES = 8


class Words:
    """Times and numbers as the page says them; `private` lets messages through."""

    def __init__(self, now, zone, private: bool) -> None:
        self.now, self.zone, self.private = now, zone, private

    def stamp(self) -> str:
        """When the page was made."""
        local = self.now.astimezone(self.zone)
        return (f'<time datetime="{self.now:%Y-%m-%dT%H:%M:%SZ}">{local.day} '
                f'{MONTHS[local.month - 1]} {local:%H:%M}</time>')

    def moment(self, text: str | None) -> str:
        """A time as short as it is clear; `unknown` where the database holds none."""
        found = stored.time(text)
        return escape(moment(found, self.now, self.zone)) if found else stored.UNKNOWN

    @staticmethod
    def day(text: str) -> str:
        """`24 Nov`."""
        day = date(int(text[:4]), int(text[5:7]), int(text[8:10]))
        return f"{day.day} {MONTHS[day.month - 1]}"

    @staticmethod
    def length(milliseconds: int) -> str:
        """How long a run took."""
        return took(milliseconds)

    @staticmethod
    def took(job: dict) -> str:
        """How long the last run took."""
        last = job["last"]
        return took(last["duration_ms"]) if last and last["duration_ms"] is not None else "-"

    @staticmethod
    def runs(day: dict) -> str:
        """`288 runs, 2 failed`."""
        number = day["ok"] + day["early"] + day["bad"]
        words = [f"{number:,} run" if number == 1 else f"{number:,} runs"]
        if day["early"]:
            words.append(f"{day['early']:,} ended early")
        words.append(f"{day['bad']:,} failed" if day["bad"] else "none failed")
        return ", ".join(words)


def badge(job: dict) -> str:
    """A job's last outcome as a sign and a word; what keeps it from running goes first."""
    if job["state"] in ("off", "paused", "misconfigured"):
        style = "bad" if job["state"] == "misconfigured" else "none"
        return f'<span class="badge {style}">{BAD if style == "bad" else NONE} {job["state"]}</span>'
    if job["last"] is None:
        return f'<span class="badge none">{NONE} no run yet</span>'
    status = job["last"]["status"]
    late = ' <span class="badge bad">! late</span>' if job["late_since"] else ""
    return f'<span class="badge {STYLES.get(status, "bad")}">{SIGNS.get(status, BAD)} {escape(status)}</span>{late}'


def definitions(*marks: tuple[str, str]) -> str:
    """What the marks of a chart mean."""
    keys = (f'<span><svg class="chart" viewBox="0 0 14 14" aria-hidden="true">'
            f'<rect class="{style}" width="14" height="14"/></svg>{escape(words)}</span>' for style,
            words in marks)
    return f'<div class="key">{"".join(keys)}</div>'


def queues(found: dict, say: Words) -> str:
    """What waits: how much, since when, and how that went in 30 days."""
    cards = "".join(_queue(queue, found["series"], say) for queue in found["queues"])
    return f'<section><h2>Queues</h2><div class="grid">{cards}</div></section>' if cards else ""


def _queue(queue: dict, series: dict, say: Words) -> str:
    style, state = ("bad", "! stalled") if queue["stalled_since"] else (
        ("ok", "\u2713 moving") if queue["depth"] else ("none", "\u2713 empty"))
    oldest = f"the oldest due {say.moment(queue['oldest_due_at'])}" if queue["due"] else "nothing is due"
    oldest += f"; {queue['done_last_day']:,} done and {queue['failed_last_day']:,} failed in 24 hours"
    if queue["uncertain_last_day"]:
        oldest += f", {queue['uncertain_last_day']:,} lost in flight and tried again"
    title = queue["what"][:1].upper() + queue["what"][1:]
    return (f'<div class="card"><div class="pair"><h3>{escape(title)}</h3>'
            f'<span class="badge {style}">{state}</span></div>'
            f'<p class="big">{queue["depth"]:,} <small>waiting, {in_words(queue["due"])} due</small></p>'
            f'<p class="soft">{oldest}</p><div class="halves">'
            + _trend(series.get(f"queue.depth.{queue['name']}"), "Waiting", say, lambda value: f"{value:,}")
            + _trend(series.get(f"queue.age.{queue['name']}"), "Oldest due", say,
                     lambda value: span(timedelta(seconds=value))) + "</div></div>")


def mail(found: dict, say: Words) -> str:
    """What was sent against the limits, and whether the relay rests."""
    facts = found["mail"]
    rows = "".join(_window(window) for window in facts["windows"])
    paused = ""
    if facts["paused_until"]:
        why = f": {facts['reason']}" if say.private and facts["reason"] else ""
        paused = ('<p><span class="badge bad">! paused</span> No mail is sent until'
                  f' {say.moment(facts["paused_until"])}{escape(why)}.</p>')
    if not rows and not paused:
        rows = '<p class="soft">No limit is set in [mail], so nothing is counted.</p>'
    trend = _trend(found["series"].get("mail.hour"), "Recipients in an hour", say,
                   lambda value: f"{value:,}")
    return f'<section><h2>Mail sent against the limits</h2><div class="card">{paused}{rows}{trend}</div></section>'


def _window(window: dict) -> str:
    sent, limit = window["sent"], window["limit"]
    words = f"{sent:,} of {limit:,} recipients {WINDOWS[window['name']]}"
    full = f" ({sent * 100 // limit} %)"
    return (f'<div class="meter-row"><div class="pair"><span>{words}</span><span '
            f'class="soft">{full}</span></div>'
            f"{charts.meter(sent / limit, words, NEARLY)}</div>")


def history(found: dict, say: Words) -> str:
    """All runs of 30 days."""
    if not any(job["days"] for job in found["jobs"]):
        return ""
    days = [(name, {key: sum(job["days"].get(name, {}).get(key, 0) for job in found["jobs"])
                    for key in ("ok", "early", "bad")}) for name in found["days"]]
    total = {key: sum(day[key] for _, day in days) for key in ("ok", "early", "bad")}
    bars = [(f"{say.day(name)}: {say.runs(day)}", day["ok"], day["early"], day["bad"]) for name,
            day in days]
    most = max((sum(day.values()) for _, day in days), default=0)
    worst = "".join(f"<li>{escape(words)}</li>" for words in _worst(found, say))
    return ('<section><h2>Runs in 30 days</h2><div class="card">'
            f'<div class="pair"><span>{say.runs(total)}</span><span class="soft">at most {most:,} a day</span></div>'
            f'<div class="whole">{charts.stacked(bars, f"Runs of all jobs in 30 days: {say.runs(total)}")}</div>'
            + _ends(say.day(found["days"][0]), "today")
            + definitions(("ok", "ok"), ("early", "ended early, to go on"), ("bad", "failed"))
            + (f'<ul class="soft">{worst}</ul>' if worst else "") + "</div></section>")


def _worst(found: dict, say: Words) -> list[str]:
    """The jobs that failed most, in words."""
    failed = [(sum(day["bad"] for day in job["days"].values()), job) for job in found["jobs"]]
    worst = sorted((pair for pair in failed if pair[0]), key=lambda pair: -pair[0])[:5]
    return [f"{job['name']} failed {number:,} {'time' if number == 1 else 'times'}, last on "
            f"{say.day(max(name for name, day in job['days'].items() if day['bad']))}" for number,
            job in worst]


def storage(found: dict, say: Words) -> str:
    """Free space and large tables."""
    disks = "".join(_disk(disk) for disk in found["disks"])
    rows = "".join(_table(table) for table in found["tables"][:SHOWN_TABLES] if table["rows"])
    trend = _trend(found["series"].get("disk.free"), "Free space", say, size)
    table = ('<div class="card table sizes"><table><caption class="soft">The largest tables. Rows '
             'are counted from the first id to the last, so there may be '
             'fewer.</caption><thead><tr><th scope="col">Table</th><th scope="col" '
             'class="number">Rows, at most</th><th scope="col" '
             'class="number">Size</th></tr></thead>'
             f"<tbody>{rows}</tbody></table></div>") if rows else ""
    return (f'<section><h2>Disk and tables</h2><div class="grid"><div class="card">{disks}{trend}'
            '<p class="soft">The database takes '
            f'{size(found["database_bytes"])}.</p></div>{table}</div></section>')


def _disk(disk: dict) -> str:
    used = 1 - disk["free"] / disk["total"] if disk["total"] else 0
    holds, words = ", ".join(disk["holds"]), f"{size(disk['free'])} free of {size(disk['total'])}"
    return (f'<div class="meter-row"><div class="pair"><span>{escape(holds[:1].upper() + holds[1:])}</span>'
            f'<span class="soft">{words}</span></div>{charts.meter(used, f"{holds}: {words}", NEARLY)}</div>')


def _table(table: dict) -> str:
    bytes_ = size(table["bytes"]) if table["bytes"] is not None else "-"
    return (f'<tr><th scope="row">{escape(table["name"])}</th><td '
            f'class="number">{table["rows"]:,}</td><td class="number">{bytes_}</td></tr>')


def _trend(points, title: str, say: Words, show) -> str:
    if not points or len(points) < 2:
        return ""
    start, points = say.now - timedelta(days=30), _thinned(points)
    most = max(value for _, value in points)
    words = f"{title} in 30 days: {show(points[-1][1])} now, {show(most)} at most"
    return (f'<figure><div class="pair"><figcaption>{escape(title)}</figcaption><span '
            'class="ends">at most'
            f" {escape(show(most))}</span></div>{charts.line(points, start, say.now, words)}"
            + _ends(say.day(f"{start:%Y-%m-%d}"), "today") + "</figure>")


def _thinned(points: list) -> list:
    """The last value and the largest of each six hours: what a chart of this size can show."""
    largest: dict = {}
    for at, value in points[:-1]:
        key = at.replace(hour=at.hour // 6 * 6)
        if key not in largest or value > largest[key][1]:
            largest[key] = (at, value)
    return [*largest.values(), points[-1]]


def _ends(first: str, last: str) -> str:
    return f'<div class="ends" aria-hidden="true"><span>{first}</span><span>{last}</span></div>'
