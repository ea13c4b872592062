"""The text of an alert, for an operator who is woken by it: what happened, since when, the last
error, what to run next."""
from __future__ import annotations

import json
import textwrap

from jobs_lib import clock
from jobs_lib.paths import HOME
from jobs_lib.records import namedtuple
from jobs_lib.runner.history import host

from .alert_rows import Pending
from .incidents import full_time

# document: what a webhook is sent, as bytes
Alert = namedtuple("Alert", "subject text document")

WIDTH = 76
PREFIXES = {"new": "", "once": "", "still": "still: ", "over": "resolved: "}
START = "python3 jobs.py"
LONGEST_CONTENT = 1900          # characters: Discord accepts 2,000
LATER = "You will be reminded after {:g} hours, and notified when this is resolved."
TEST = "This is a test: alerts arrive here. It was requested by `jobs.py check_jobs --set try=yes`."


def alert(pending: list, remind, zone, start: str = START) -> Alert:
    """One message of all that a channel has to report. `pending`: alert_rows.Pending; `remind`: a
    timedelta, or None.

    `start`: what a command line of this installation begins with (paths.program).
    """
    first, more = pending[0], len(pending) - 1
    subject = PREFIXES[first.state] + first.row["subject"]
    if more:
        subject += f" (and {more} more)"
    text = "\n\n".join(_item(each.state, each.row, zone, start) for each in pending)
    lasts = any(each.state in ("new", "still") for each in pending)
    later = LATER.format(remind.total_seconds() / 3600) if remind and lasts else ""
    return _alert(subject, text, later, [_fields(each.state, each.row, start) for each in pending])


def trial() -> Alert:
    """The test alert that `--set try=yes` sends."""
    return _alert("this is a test", TEST, "", [])


def urgent(incident, remind, zone, start: str = START) -> Alert:
    """One incident that has no row in `alerts`: there is no database."""
    return alert([Pending("new", incident._asdict())], remind, zone, start)


def _alert(subject: str, text: str, later: str, incidents: list) -> Alert:
    subject = f"[jobs] {subject}"
    foot = [later] if later else []
    text = "\n".join([text, "", "-- ", *foot, f"{host()}, {HOME}", ""])
    short = f"{subject}\n{text}"
    document = {"text": short, "content": short[:LONGEST_CONTENT], "title": subject,
                "message": text, "host": host(), "folder": HOME, "incidents": incidents}
    return Alert(subject, text, json.dumps(document).encode("ascii"))


def _item(state: str, row: dict, zone, start: str) -> str:
    lines = [*textwrap.wrap(PREFIXES[state].upper() + _sentence(row["subject"]), WIDTH), ""]
    if state == "over":
        over = row["cleared_at"] or row["resolved_at"]
        facts = {"since": full_time(row["since"], zone),
                 "resolved": f"by {full_time(over, zone)}" if over else "now"}
    else:
        lines += [*textwrap.wrap(row["what"] or "", WIDTH), ""]
        facts = {"since": full_time(row["since"], zone)}
    if row["last_error"]:
        facts["last error"] = row["last_error"]
    lines += [_fact(name, value) for name, value in facts.items()]
    if state != "over" and row["command"]:
        # not folded, so that it can be copied
        lines.append(f"  {'run next':<10}  {start} {row['command']}")
    return "\n".join([*lines, _fact("more", f"docs/alerts.md#{row['kind']}")])


def _sentence(subject: str) -> str:
    """With a capital, unless it begins with the name of a job."""
    is_name = "_" in subject.split(" ")[0]
    return f"{subject if is_name else subject[:1].upper() + subject[1:]}."


def _fact(name: str, value: str) -> str:
    return textwrap.fill(value, WIDTH, initial_indent=f"  {name:<10}  ",
                         subsequent_indent=" " * 14, break_long_words=False,
                         break_on_hyphens=False)


def _fields(state: str, row: dict, start: str) -> dict:
    return {"state": state, "name": row["alert_key"], "kind": row["kind"],
            "subject": row["subject"], "since": clock.text(row["since"]), "what": row["what"],
            "last_error": row["last_error"],
            "command": row["command"] and f"{start} {row['command']}"}
