"""An alert in words, for somebody who is woken by it: what happened, since when, the last error,
what to run next."""
from __future__ import annotations

import json
import textwrap
from collections import namedtuple

from jobs_lib import clock
from jobs_lib.paths import HOME
from jobs_lib.runner.history import host

from .incidents import full

# document: what a webhook is sent, as bytes
Alert = namedtuple("Alert", "subject text document")

WIDTH = 76
HEADS = {"new": "", "once": "", "still": "STILL: ", "over": "RESOLVED: "}
START = "python3 jobs.py"
LONGEST_CONTENT = 1900          # signs: Discord takes 2,000
LATER = "You will be reminded after {remind}, and notified when this is resolved."
TRY = "This is a test: alerts arrive here. It was requested by `jobs.py check_jobs --set try=yes`."


def alert(sent: list, remind, zone, start: str = START) -> Alert:
    """One message of all that a channel has to tell. `sent`: alert_rows.Pending; `remind`: a
    timedelta, or None.

    `start`: what a command line of this installation begins with (paths.program).
    """
    text = "\n\n".join(_item(each, zone, start) for each in sent)
    lasts = remind and any(each.state in ("new", "still") for each in sent)
    return _alert(_subject(sent), text, [_object(each, start) for each in sent],
                  f"{remind.total_seconds() / 3600:g} hours" if lasts else "")


def trial() -> Alert:
    """What `--set try=yes` sends."""
    return _alert("this is a test", TRY, [], "")


def urgent(trouble, remind, zone, start: str = START) -> Alert:
    """One trouble, without a row of `alerts`: there is no database."""
    row = {"alert_key": trouble.key, "kind": trouble.kind, "since": trouble.since,
           "subject": trouble.subject, "what": trouble.what, "last_error": trouble.error,
           "command": trouble.command, "resolved_at": None}
    from .alert_rows import Pending
    return alert([Pending("new", row)], remind, zone, start)


def _alert(subject: str, text: str, troubles: list, remind: str) -> Alert:
    subject = f"[jobs] {subject}"
    foot = [f"{host()}, {HOME}"]
    if remind:
        foot.insert(0, LATER.format(remind=remind))
    text = "\n".join([text, "", "-- ", *foot, ""])
    short = f"{subject}\n{text}"
    document = {"text": short, "content": short[:LONGEST_CONTENT], "title": subject,
                "message": text,
                "host": host(), "folder": HOME, "troubles": troubles}
    return Alert(subject, text, json.dumps(document).encode("ascii"))


def _subject(sent: list) -> str:
    first, more = sent[0], len(sent) - 1
    words = {"new": "", "once": "", "still": "still: ",
             "over": "resolved: "}[first.state] + first.row["subject"]
    return f"{words} (and {more} more)" if more else words


def _item(each, zone, start: str) -> str:
    row = each.row
    lines = [*textwrap.wrap(f"{HEADS[each.state]}{_sentence(row['subject'])}", WIDTH), ""]
    if each.state == "over":
        over = row["cleared_at"] or row["resolved_at"]
        lines += [_fact("since", full(row["since"], zone)),
                  _fact("resolved", f"by {full(over, zone)}" if over else "now")]
    else:
        lines += [*textwrap.wrap(row["what"] or "", WIDTH), "",
                  _fact("since", full(row["since"], zone))]
    if row["last_error"]:
        lines.append(_fact("last error", row["last_error"]))
    if each.state != "over" and row["command"]:
        # not folded, so that it can be copied
        lines.append(f"  {'run next':<10}  {start} {row['command']}")
    return "\n".join([*lines, _fact("more", f"docs/alerts.md#{row['kind']}")])


def _sentence(words: str) -> str:
    return f"{words[:1].upper() if words[:1].isalpha() and '_' not in words.split(' ')[0] else words[:1]}{words[1:]}."


def _fact(name: str, words: str) -> str:
    return textwrap.fill(words, WIDTH, initial_indent=f"  {name:<10}  ", subsequent_indent=" " * 14,
                         break_long_words=False, break_on_hyphens=False)


def _object(each, start: str) -> dict:
    row = each.row
    return {"state": each.state, "name": row["alert_key"], "kind": row["kind"],
            "subject": row["subject"], "since": clock.text(row["since"]), "what": row["what"],
            "last_error": row["last_error"], "command": row["command"]
            and f"{start} {row['command']}"}
