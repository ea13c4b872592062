"""What the demo prints: a summary, or what the jobs did, each message before and after, the totals,
the notices, what to do next."""
from __future__ import annotations

import textwrap
from jobs_lib.records import namedtuple
from datetime import timedelta

from jobs_lib import clock, text
from jobs_lib.output.layout import cut, wrapped
from jobs_lib.runner.outcome import counts_words, outcome_words

WIDTH = 80
NOTICE_LINES = 24                # of a notice, with its headers
MEMBERS = 3                      # of an export
FORWARD_DELAYS = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 48))
WEBHOOK_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 30, 120))
SUBJECT, BEFORE = 27, 23         # columns; what became of it takes the rest
GOOD, BAD, WAITS, DIM = "green", "red", "yellow", "dim"


Facts = namedtuple("Facts", "before after results now notices unchanged arrived no_domains export")
Facts.__doc__ = """What the summary is made of.

before, after  State; results: outcomes of all runs; now: when it began
notices        how many were delivered
unchanged      whether each forward arrived byte for byte
arrived        requests of webhooks; no_domains: why none were checked; export: or None
"""
SHORT = {"failed: owner notified": "failed (owner notified)", "kept for now": "kept",
         "owner warned": "soon to be deleted (owner warned)", "row and file deleted": "deleted",
         "endpoint disabled": "cancelled (endpoint disabled)"}
DELETES = ("purge", "archive")          # how jobs begin that delete what is past its retention


def summary(paint, facts: Facts) -> list[str]:
    """What became of everything, a line a subject."""
    before, after = facts.before, facts.after
    fates = [_forward_fate(row, after.forwards[number], facts.now)[1]
             for number, row in before.forwards.items() if row["status"] == "pending"]
    held = [_held_fate(row, after.held[number])[1] for number, row in before.held.items()]
    hooks = [_webhook_fate(row, after.deliveries[number], facts.arrived)[1]
             for number, row in before.deliveries.items() if row["status"] == "pending"]
    delivered = sum(fate == "delivered" for fate in fates)
    signed = all(each.genuine for each in facts.arrived)
    deleted = sum(value for result in facts.results for name, value in result["counts"].items()
                  if name == "deleted" and result["job"].startswith(DELETES))
    same = [{**row, "rows": 0} for row in before.totals] == [
        {**row, "rows": 0} for row in after.totals]
    domain = (f"not checked here: {facts.no_domains}" if facts.no_domains
              else f"{after.domain['name']}: {before.domain['status']} -> {after.domain['status']}")
    lines = [
        ("forwards", _good(paint, f"{delivered} delivered", facts.unchanged and delivered > 0,
                           "changed on the way, a defect")
         + f" byte for byte; {_counted_fates(fates, 'delivered')}"),
        ("held mail", _counted_fates(held)),
        ("webhooks", _good(paint, f"{sum('delivered' in fate for fate in hooks)} delivered",
                           signed, "with a wrong signature, a defect")
         + f" and signed; {_counted_fates([each for each in hooks if 'delivered' not in each])}"),
        ("notices", f"{facts.notices} sent, as files in the folder notices"),
        ("domain", domain),
        ("export", "an account's own data as a zip, by a link that works for seven days"
         if facts.export else "none"),
        ("deleted", f"{deleted:,} rows past their retention; "
         + _good(paint, "the totals of each user are equal", same, "TOTALS CHANGED, a defect"))]
    room = max(len(name) for name, _ in lines) + 2
    return [line for name, words in lines
            for line in wrapped(words, WIDTH, f"  {name:<{room}}", " " * (room + 2))]


def _good(paint, words: str, is_good: bool, otherwise: str) -> str:
    return words if is_good else paint(BAD, f"{words} {otherwise}")


def _counted_fates(fates: list[str], but: str = "") -> str:
    """`2 failed (owner notified), 1 cancelled`; what waits is one thing, whatever it waits for."""
    short = ["waiting" if fate.startswith("waits") else SHORT.get(fate, fate)
             for fate in fates if fate != but]
    return ", ".join(f"{short.count(fate)} {fate}" for fate in dict.fromkeys(short))


def looks(paint, files: list[tuple[str, str]]) -> list[str]:
    """(what a file shows, its path), a line each."""
    room = max(len(meaning) for meaning, _ in files)
    return [f"  {paint(DIM, f'{meaning:<{room}}')}  {path}" for meaning, path in files]


def heading(paint, title: str) -> list[str]:
    """An empty line and a heading."""
    return ["", paint("bold", title), paint(DIM, "-" * len(title))]


def paragraph(sentences: str, indent: str = "") -> list[str]:
    """Lines of at most 80 columns; a long path is never broken."""
    return wrapped(sentences, WIDTH, indent, indent)


def outcomes(paint, results: list[dict], heading: bool = True) -> list[str]:
    """What each job did, one a line, or a little more."""
    width = max((len(result["job"]) for result in results), default=0)
    lines = [paint(DIM, f"  {'job':<{width}}  what it did")] if heading else []
    for result in results:
        is_ok = result["status"] == "ok"
        did = (counts_words(result["counts"]) or "nothing to do" if is_ok
               else outcome_words(result).partition(": ")[2])
        first, *more = textwrap.wrap(did, WIDTH - width - 4)
        lines += [f"  {result['job']:<{width}}  {paint('' if is_ok else BAD, first)}",
                  *(" " * (width + 6) + line for line in more)]
    return lines


# What became of each

def _fates(paint, what: str, rows: list[tuple]) -> list[str]:
    """A line for each (number, subject, before, (style, after)), below a head."""
    lines = [("no", what, "before", (DIM, "after")), *rows]
    return [paint(DIM if number == "no" else "", f"{number:>2}  {cut(subject, SUBJECT):<{SUBJECT}}"
                  f"  {cut(before, BEFORE):<{BEFORE}}  ") + paint(style, after)
            for number, subject, before, (style, after) in lines]


def span(length) -> str:
    """`40 min`, `5 h`, `9 d`: to the minute, since the rows were made to the second."""
    return text.span(timedelta(minutes=round(length.total_seconds() / 60)))


def _since(moment: str, now) -> str:
    return span(now - clock.parse(moment))


def forwards(paint, before: dict, after: dict, now) -> list[str]:
    """The forwards: what waited, and what became of it."""
    return _fates(paint, "subject", [
        (number, row["subject"] or "(its file is missing)", _forward_before(row, now),
         _forward_fate(row, after[number], now)) for number, row in before.items()])


def _due_at(row: dict):
    """A row that was never tried is due the first delay after it came in."""
    if row["next_attempt_at"]:
        return clock.parse(row["next_attempt_at"])
    return clock.parse(row["created_at"]) + FORWARD_DELAYS[0]


def _forward_before(row: dict, now) -> str:
    if row["status"] != "pending":
        return f"{row['status']} {_since(row['finished_at'], now)} ago"
    retry = f"retry {row['attempts'] + 1} of {len(FORWARD_DELAYS)}"
    return _waiting(_due_at(row), row["owner"], retry, now)


def _waiting(due, owner: str, attempt: str, now) -> str:
    if due > now:
        return f"in {span(due - now)}: {attempt}"
    return f"due: {attempt}" if owner == "active" else f"due, owner {owner}"


def _forward_fate(before: dict, after: dict, now) -> tuple[str, str]:
    """(style, what became of a row)."""
    if not after["is_kept"]:
        return DIM, _deleted(after) if before["is_there"] else "row deleted"
    if after["status"] == "pending":
        if after["owner"] == "suspended":
            return WAITS, "waits for its owner"
        return WAITS, f"waits, due in {span(_due_at(after) - now)}"
    if after["status"] != before["status"]:
        if after["status"] == "sent":
            return GOOD, "delivered"
        if (after["last_error"] or "").startswith("cancelled"):
            return DIM, "cancelled"
        return BAD, "failed: owner notified" if after["notice_id"] else "failed"
    is_deleted = before["is_there"] and not after["is_there"]
    return DIM, "its file is deleted" if is_deleted else "kept for now"


def _deleted(after: dict) -> str:
    return "row deleted, file kept" if after["is_there"] else "row and file deleted"


def held(paint, before: dict, after: dict, now) -> list[str]:
    """What became of the held messages."""
    return _fates(paint, "subject", [
        (number, row["subject"], _held_before(row, now), _held_fate(row, after[number]))
        for number, row in before.items()])


def _held_before(row: dict, now) -> str:
    if row["released_at"]:
        return f"released {_short_since(row['released_at'], now)} ago"
    warned = f", warned {_short_since(row['warned_at'], now)}" if row["warned_at"] else ""
    return f"held {_short_since(row['held_at'], now)}{warned}"


def _short_since(moment: str, now) -> str:
    return _since(moment, now).replace(" d", "d").replace(" h", "h")


def _held_fate(before: dict, after: dict) -> tuple[str, str]:
    if not after["is_kept"]:
        return DIM, _deleted(after)
    if after["released_at"]:
        return DIM, "kept for now"
    if not after["warned_at"]:
        return DIM, "kept"
    return (WAITS, "waits: 24 h of warning") if before["warned_at"] else (BAD, "owner warned")


def webhooks(paint, before: dict, after: dict, arrived: list, now) -> list[str]:
    """What became of the waiting deliveries."""
    return _fates(paint, "event, endpoint", [
        (number, f"{row['event_type']}, {row['endpoint']}", _webhook_before(row, now),
         _webhook_fate(row, after[number], arrived))
        for number, row in before.items() if row["status"] == "pending"])


def _webhook_before(row: dict, now) -> str:
    attempt = f"try {row['attempts'] + 1} of {len(WEBHOOK_DELAYS)}"
    due = now
    if row["last_attempt_at"]:
        due = clock.parse(row["last_attempt_at"]) + WEBHOOK_DELAYS[row["attempts"]]
    return _waiting(due, row["owner"], attempt, now)


def _webhook_fate(before: dict, after: dict, arrived: list) -> tuple[str, str]:
    answers = [each.status for each in arrived
               if dict(each.headers).get("webhook-id") == before["event_id"]]
    if after["status"] == "delivered":
        return GOOD, "delivered" if len(answers) < 2 else f"{answers[0]}, then delivered"
    if after["status"] == "failed":
        is_disabled = "disabled" in (after["last_error"] or "")
        return (DIM, "endpoint disabled") if is_disabled else (BAD, "failed")
    return WAITS, "waits for its owner" if after["owner"] == "suspended" else "waits"


# The rest of the story

def totals(paint, before: list[dict], after: list[dict]) -> list[str]:
    """E-mails and bytes of each user, as the view `message_totals` has them: equal before and
    after."""
    by_user = {row["user_id"]: row for row in after}
    lines = [paint(DIM, f"  {'user':<14}{'log rows':<14}{'e-mails':<16}bytes")]
    for row in before:
        then = by_user.get(row["user_id"], {"rows": 0, "emails": 0, "bytes": 0})
        rows, emails, size = (f"{row[name]:,} -> {then[name]:,}"
                              for name in ("rows", "emails", "bytes"))
        is_same = all(row[name] == then[name] for name in ("emails", "bytes"))
        verdict = paint(GOOD, "equal") if is_same else paint(BAD, "NOT EQUAL, a defect")
        lines.append(f"  {row['name']:<14}{rows:<14}{emails:<16}{size:<26}{verdict}")
    return lines


def notices(paint, rows: list[dict], unsent: int) -> list[str]:
    """Those that were sent: the name of the file that shows each, and its subject. How many were
    not."""
    width = max(len(row["file"]) for row in rows)
    lines = [f"  {row['file']:<{width}}  {paint(DIM, cut(row['subject'], WIDTH - width - 4))}"
             for row in rows]
    if unsent:
        lines.append(paint(DIM, f"  and {unsent} not sent: its owner does not want this kind"))
    return lines


def notice(paint, row: dict) -> list[str]:
    """The beginning of a notice, framed, as its reader sees it."""
    lines = [f"From:    {row['sender']}", f"To:      {row['to_email']}",
             f"Subject: {row['subject']}", "", *row["body_text"].rstrip("\n").split("\n")]
    more = ["..."] if len(lines) > NOTICE_LINES else []
    return _framed(paint, lines[:NOTICE_LINES] + more)


def request(paint, arrived) -> list[str]:
    """A webhook, framed, as it arrived (without its Host and the like), and what its receiver
    found."""
    headers = {name: value for name, value in arrived.headers
               if name.startswith("webhook-") or name == "Content-Type"}
    headers["webhook-signature"] = cut(headers["webhook-signature"], 24)
    verdict = (paint(GOOD, "The receiver computed the signature from the secret by itself: "
                     "genuine.") if arrived.genuine
               else paint(BAD, "Its signature does not hold, which is a defect."))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return [*_framed(paint, [arrived.line, *lines, "", arrived.body.decode()]), f"  {verdict}"]


def domain(paint, before: dict, after: dict) -> list[str]:
    """A domain and its records, before and after."""
    style = GOOD if after["status"] == "verified" else BAD
    lines = [f"  {after['name']}: {before['status']} -> {paint(style, after['status'])}"]
    for check, result in after["results"].items():
        reason = before["results"].get(check, {}).get("reason") or "-"
        found = ", ".join(result["found"]) if result["found"] else "-"
        state = paint(GOOD if result["state"] == "pass" else BAD, f"{result['state']}  ")
        lines.append(f"  {check:<9}  {reason} -> {state}{cut(found, WIDTH - 30)}")
    return lines


def export(paint, found: dict) -> list[str]:
    """What is in the zip, and how its README begins."""
    tables = [member for member in found["files"] if member[0].startswith("csv/")]
    largest = sorted(tables, key=lambda member: -member[1])[:MEMBERS]
    shown = [*largest, *(member for member in found["files"] if "/" not in member[0])]
    members = ", ".join(f"{name} ({size:,} bytes)" for name, size in shown)
    page, _, token = found["link"].partition("?t=")
    return [f"  {page}?t={token[:6]}...  {paint(DIM, 'works for seven days')}",
            f"  {found['path']}",
            *paragraph(f"{members} and {len(found['files']) - len(shown)} more", "    "),
            *_framed(paint, found["readme"].split("\n")[:1])]


def _framed(paint, lines: list[str]) -> list[str]:
    bar = paint("cyan", "|")
    return [f"  {bar} {line}".rstrip() for long in lines for line in _folded(long, WIDTH - 4)]


def _folded(line: str, width: int) -> list[str]:
    """A long line as a mail reader folds it, each part indented like the first."""
    indent = line[:len(line) - len(line.lstrip())]
    return textwrap.wrap(line.strip(), width, initial_indent=indent,
                         subsequent_indent=indent) or [""]


def command_lines(paint, commands: list[tuple[str, str]]) -> list[str]:
    """(command, what it does): the meaning above, dim, so that a line can be copied as a whole."""
    return [line for command, meaning in commands
            for line in (paint(DIM, f"  # {meaning}"), f"  {command}")]
