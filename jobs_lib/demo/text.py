"""What the demo says: what the jobs did, each message before and after, the totals, the notices,
what to do next."""
from __future__ import annotations

import textwrap
from datetime import timedelta

from jobs_lib import clock, text
from jobs_lib.runner.outcome import counts_words, outcome_words

WIDTH = 80
RETRIES = 4
LETTER = 24                      # lines of a notice, with its headers
MEMBERS = 3                      # of an export
WEBHOOK_DELAYS = (timedelta(0), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30),
                  timedelta(hours=2))
SUBJECT, BEFORE = 27, 23         # columns; what became of it takes the rest
GOOD, BAD, WAITS = "green", "red", "yellow"


def heading(paint, words: str) -> list[str]:
    """An empty line and a heading."""
    return ["", paint("bold", words), paint("dim", "-" * len(words))]


def paragraph(words: str, indent: str = "") -> list[str]:
    """Words as lines of at most 80 columns; a long path is never broken."""
    return textwrap.wrap(words, WIDTH, initial_indent=indent, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False)


def queue(paint, before: dict, after: dict, now) -> list[str]:
    """The forwards, one a line: what waited, how it stood, what became of it."""
    lines = [paint("dim", _columns("no", "subject", "before", "after"))]
    for number, row in before.items():
        style, words = fate(row, after[number], now)
        subject = row["subject"] or "(its file is missing)"
        lines.append(_columns(str(number), subject, standing(row, now), "") + paint(style, words))
    return lines


def _columns(number: str, subject: str, before: str, after: str) -> str:
    return f"{number:>2}  {_cut(subject, SUBJECT):<{SUBJECT}}  {_cut(before, BEFORE):<{BEFORE}}  {after}"


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[:width - 3] + "..."


def standing(row: dict, now) -> str:
    """How a row stood before the run."""
    if row["status"] != "pending":
        return f"{row['status']} {span(now - clock.parse(row['finished_at']))} ago"
    wait = clock.parse(row["next_attempt_at"]) - now
    if wait.total_seconds() > 0:
        return f"in {span(wait)}: retry {row['attempts'] + 1} of {RETRIES}"
    if row["owner"] != "active":
        return f"due, owner {row['owner']}"
    return f"due: retry {row['attempts'] + 1} of {RETRIES}"


def fate(before: dict, after: dict, now) -> tuple[str, str]:
    """(style, words): what became of a row."""
    if after["status"] == "deleted":
        if not before["is_there"]:
            return "dim", "row deleted"
        return "dim", "row deleted, file kept" if after["is_there"] else "row and file deleted"
    if after["status"] != before["status"]:
        if after["status"] == "sent":
            return GOOD, "delivered"
        if after["notice_id"]:
            return BAD, "failed: owner told"
        if (after["last_error"] or "").startswith("cancelled"):
            return "dim", "cancelled"
        return BAD, "failed"
    if after["status"] == "pending":
        if after["owner"] == "suspended":
            return WAITS, "waits for its owner"
        return WAITS, f"waits, due in {span(clock.parse(after['next_attempt_at']) - now)}"
    if before["is_there"] and not after["is_there"]:
        return "dim", "its file is deleted"
    return "dim", "kept for now"


def span(length) -> str:
    """`40 min`, `5 h`, `9 d`: to the minute, since the rows were made to the second."""
    return text.span(timedelta(minutes=round(length.total_seconds() / 60)))


def outcomes(paint, results: list[dict], heading: bool = True) -> list[str]:
    """What each job did, one a line, or a little more."""
    width = max((len(result["job"]) for result in results), default=0)
    lines = [paint("dim", f"  {'job':<{width}}  what it did")] if heading else []
    for result in results:
        words = counts_words(result["counts"]) or "nothing to do"
        if result["status"] != "ok":
            words = outcome_words(result).partition(": ")[2]
        first, *more = textwrap.wrap(words, WIDTH - width - 4)
        lines += [f"  {result['job']:<{width}}  " + paint("" if result["status"] == "ok" else BAD,
                                                          first),
                  *(" " * (width + 6) + line for line in more)]
    return lines


def held(paint, before: dict, after: dict, now) -> list[str]:
    """The held messages, one a line."""
    lines = [paint("dim", _columns("no", "subject", "before", "after"))]
    for number, row in before.items():
        if row["released_at"]:
            stood = f"released {_since(row['released_at'], now)} ago"
        else:
            stood = f"held {_since(row['held_at'], now)}"
            stood += f", warned {_since(row['warned_at'], now)}" if row["warned_at"] else ""
        style, words = _held_fate(row, after[number])
        lines.append(_columns(str(number), row["subject"], stood, "") + paint(style, words))
    return lines


def _held_fate(before: dict, after: dict) -> tuple[str, str]:
    if not after["is_kept"]:
        return "dim", "row deleted, file kept" if after["is_there"] else "row and file deleted"
    if after["released_at"]:
        return "dim", "kept for now"
    if after["warned_at"] and not before["warned_at"]:
        return BAD, "owner warned"
    return (WAITS, "waits: 24 h of warning") if after["warned_at"] else ("dim", "kept")


def _since(moment: str, now) -> str:
    return span(now - clock.parse(moment)).replace(" d", "d").replace(" h", "h")


def totals(paint, before: list[dict], after: list[dict]) -> list[str]:
    """E-mails and bytes of each user, as the view `message_totals` tells them: equal before and
    after."""
    now = {row["user_id"]: row for row in after}
    lines = [paint("dim", f"  {'user':<14}{'log rows':<14}{'e-mails':<16}bytes")]
    for row in before:
        then = now.get(row["user_id"], {"rows": 0, "emails": 0, "bytes": 0})
        same = all(row[name] == then[name] for name in ("emails", "bytes"))
        cells = (f"{row[name]:,} -> {then[name]:,}" for name in ("rows", "emails", "bytes"))
        lines.append(f"  {row['name']:<14}" + "".join(f"{cell:<{room}}" for cell,
                                                      room in zip(cells, (14, 16, 26)))
                     + paint(GOOD if same else BAD, "equal" if same else "NOT EQUAL, a defect"))
    return lines


def notices(paint, rows: list[dict], paths: dict, unsent: int) -> list[str]:
    """Those that were sent: the file that shows each, and what it says. How many were not."""
    names = {number: path.rpartition("/")[2] for number, path in paths.items()}
    width = max(map(len, names.values()))
    lines = [f"  {names[row['id']]:<{width}}  "
             + paint("dim", _cut(row["subject"], WIDTH - width - 4)) for row in rows]
    return [*lines, paint("dim", f"  and {unsent} not sent: its owner does not want this kind")] if unsent else lines


def notice(paint, row: dict) -> list[str]:
    """The beginning of a notice, framed, as its reader sees it."""
    lines = [f"From:    {row['sender']}", f"To:      {row['to_email']}",
             f"Subject: {row['subject']}", "", *row["body_text"].rstrip("\n").split("\n")]
    return _framed(paint, lines[:LETTER] + ["..."] if len(lines) > LETTER else lines)


def webhooks(paint, before: dict, after: dict, came: list, now) -> list[str]:
    """The deliveries that waited, one a line."""
    lines = [paint("dim", _columns("no", "event, endpoint", "before", "after"))]
    for number, row in before.items():
        if row["status"] == "pending":
            style, words = _webhook_fate(row, after[number], came)
            event = f"{row['event_type']}, {row['endpoint']}"
            lines.append(_columns(str(number), event, _webhook_standing(row, now), "")
                         + paint(style, words))
    return lines


def _webhook_standing(row: dict, now) -> str:
    attempt = f"try {row['attempts'] + 1} of {RETRIES + 1}"
    due = clock.parse(row["last_attempt_at"]) + WEBHOOK_DELAYS[row["attempts"]] if row["last_attempt_at"] else now
    if due > now:
        return f"in {span(due - now)}: {attempt}"
    return f"due: {attempt}" if row["owner"] == "active" else f"due, owner {row['owner']}"


def _webhook_fate(before: dict, after: dict, came: list) -> tuple[str, str]:
    answers = [one.status for one in came if dict(one.headers).get("webhook-id")
               == before["event_id"]]
    if after["status"] == "delivered":
        return GOOD, "delivered" if len(answers) < 2 else f"{answers[0]}, then delivered"
    if after["status"] == "failed":
        switched_off = "disabled" in (after["last_error"] or "")
        return ("dim", "endpoint switched off") if switched_off else (BAD, "failed")
    return WAITS, "waits for its owner" if after["owner"] == "suspended" else "waits"


def request(paint, arrived) -> list[str]:
    """A webhook, framed, as it came in (its Host and the like left out), and what its receiver
    found."""
    headers = [f"{name}: {_cut(value, 24) if name == 'webhook-signature' else value}" for name,
               value in arrived.headers if name.startswith("webhook-") or name == "Content-Type"]
    if arrived.genuine:
        verdict = "The receiver computed the signature from the secret by itself: genuine."
    else:
        verdict = "Its signature does not hold, which is a defect."
    return [*_framed(paint, [arrived.line, *headers, "", arrived.body.decode()]),
            "  " + paint(GOOD if arrived.genuine else BAD, verdict)]


def domain(paint, before: dict, after: dict) -> list[str]:
    """A domain and its records, before and after."""
    lines = [f"  {after['name']}: {before['status']} -> " + paint(GOOD if after["status"]
                                                                  == "verified" else BAD,
                                                                    after["status"])]
    for check, result in after["results"].items():
        stood = before["results"].get(check, {}).get("reason") or "-"
        found = ", ".join(result["found"]) if result["found"] else "-"
        lines.append(f"  {check:<9}  {stood} -> " + paint(GOOD if result["state"] == "pass"
                                                          else BAD,
                                                         f"{result['state']}  ")
                     + _cut(found, WIDTH - 30))
    return lines


def export(paint, found: dict) -> list[str]:
    """What is in the zip, and how its README begins."""
    largest = sorted((one for one in found["files"] if one[0].startswith("csv/")), key=lambda one:
                     -one[1])[:MEMBERS]
    shown = [*largest, *(one for one in found["files"] if "/" not in one[0])]
    members = ", ".join(f"{name} ({size:,} bytes)" for name, size in shown)
    page, _, token = found["link"].partition("?t=")
    return [f"  {page}?t={token[:6]}...  " + paint("dim", "works for seven days"),
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
            for line in (paint("dim", f"  # {meaning}"), f"  {command}")]
