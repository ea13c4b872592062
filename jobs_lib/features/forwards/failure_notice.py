"""Notifying owners, in plain words, of forwards that have finally failed: one notice a destination
and day.

The rows themselves say who has not been notified (`told_at`), so a kill between failing and
notifying forgets nobody. A notice that nobody has begun to send takes in the failures that follow;
one that is being sent, or was, is followed by another the day after. No notice goes to the address
that it is about: where an owner has no other, the rows alone say it, for the app to show.
"""
from __future__ import annotations

import os
import re
from functools import partial
from itertools import groupby

from jobs_lib import clock
from jobs_lib.database.values import one_line, ordered, words
from jobs_lib.engines import spool
from jobs_lib.features.notifications import enqueue, render
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.ports.mail import reasons

from .headers import header_text, read_headers

KIND = "forward_failed"
PAGE = 1000                       # rows read at once
OWED = 100_000                    # notices that are counted
# each owner and address that a notice is owed about
OWED_ABOUT = (
    "SELECT DISTINCT user_id AS owner, LOWER(envelope_to) AS address FROM {failed_emails} "
    "WHERE status = 'failed' AND told_at IS NULL AND envelope_from <> '' "
    "AND (SELECT status FROM {users} WHERE {users}.id = {failed_emails}.user_id) <> 'deleted' "
    "LIMIT :most")
LISTED = 50                       # messages a notice lists; more are counted
OTHER_ADDRESSES = 50              # destinations looked at for one that works
COLUMNS = ("id, user_id, alias_id, envelope_from, envelope_to, raw_path, attempts, last_code, "
           "last_error, created_at, finished_at")

# by what the status code begins with (RFC 3463)
BY_STATUS = (
    ("5.1.1", "The address does not exist.",
     "Check the address, and change or remove this destination."),
    ("5.1.3", "The address is not valid.", "Correct or remove this destination."),
    ("5.1.10", "The address does not accept mail.", "Change or remove this destination."),
    ("5.1.2", "We could not find the mail server of the address.",
     "Check the part of the address after the @."),
    ("5.2.1", "The mailbox is disabled.", "Ask your mailbox provider, or change this destination."),
    ("5.2.2", "The mailbox is full.", "Free up space in the mailbox."),
    ("4.2.2", "The mailbox is full.", "Free up space in the mailbox."),
    ("5.3.4", "The message is too large for the receiving mail server.",
     "Ask the sender for a link instead of a file."),
    ("5.2.3", "The message is too large for the mailbox.",
     "Ask the sender for a link instead of a file."),
    ("5.4.6", "The message went round in a loop.",
     "Check whether the mailbox forwards mail back to one of your aliases, and turn that off."),
    ("5.7", ("The receiving mail server rejected the message because of its policies, often as "
     "suspected spam."), ("Nothing is wrong with your alias. If you expected this message, ask the "
     "sender to contact you another way.")),
    ("4.7", "The receiving mail server did not accept the message yet because of its policies.",
     "If this keeps happening, ask your mailbox provider to accept mail from us."),
)
NO_ANSWER = ("The receiving mail server did not accept the message.",
             "If this keeps happening, check the mailbox, or use another destination.")
NOT_STORED = ("We no longer have the content of this message.", "Ask the sender to send it again.")
REFUSED = ("The receiving mail server rejected the message.",
           "Check the mailbox, or use another destination.")
OUR_FAULT = ("We could not send the message. The problem is on our side.",
             "You do not need to change anything.")
# what was never offered to the other server
BY_REASON = {
    reasons.TOO_LARGE: ("The message is too large for our mail server.",
                        "Ask the sender for a link instead of a file."),
    reasons.EIGHT_BIT: ("Our mail server cannot send a message in this format.",
                        "Ask the sender to send it in another format."),
    reasons.NOT_ASCII: (
        "Our mail server cannot handle special characters in this address or the sender's.",
        "Use a destination without letters such as é or ü."),
    reasons.BAD_SENDER: (
        "The sender's address is not valid, so we could not send the message.",
        "If you expected this message, ask the sender to contact you another way."),
    reasons.MISSING: NOT_STORED,
    reasons.EMPTY: NOT_STORED,
    reasons.NOT_A_FILE: NOT_STORED,
    reasons.NOT_A_PATH: NOT_STORED,
    reasons.BAD_PATH: NOT_STORED,
    reasons.UNREADABLE: OUR_FAULT,
    reasons.FORBIDDEN: OUR_FAULT,
    reasons.CHANGED: OUR_FAULT,
    reasons.STOPPED: OUR_FAULT,
    reasons.NO_TIME: OUR_FAULT,
    reasons.DEFECT: OUR_FAULT,
}
# how mail_sending begins the text of an error in the content
EXCEPTION = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Warning): ")


def queue_notices(ctx) -> None:
    """Queue the notices that are owed. Each is one commit with the marks of the rows it lists."""
    folder = ctx.section("spool").dir
    for rows in ctx.db.pages(f"SELECT {COLUMNS} FROM {{failed_emails}} WHERE status = 'failed' "
                             "AND told_at IS NULL", size=PAGE):
        rows.sort(key=lambda row: (ordered(row["user_id"]), _destination(row)))
        for user_id, theirs in groupby(rows, key=lambda row: row["user_id"]):
            groups = [(to, list(group)) for to, group in groupby(theirs, key=_destination)]
            failing = {to for to, _ in groups}
            for to, group in groups:
                with alone(ctx, user_id):
                    notified = ctx.db.batch(
                        partial(_notify, ctx, folder, user_id, to, failing, group))
                    ctx.count("notices", notified)
        if ctx.should_stop():
            return


def count_owed(ctx) -> int:
    """How many notices are owed, OWED at most: fewer are written where all mails to an address came
    from machines, or the owner has no other that works."""
    return ctx.db.value(f"SELECT COUNT(*) FROM ({OWED_ABOUT}) AS owed", most=OWED)


def _destination(row: dict) -> str:
    return words(row["envelope_to"]).lower()


def _notify(ctx, folder: str, user_id, destination: str, failing: set, rows: list[dict]) -> int:
    """How many notices were queued for these rows: 0 or 1. They are read again, locked: what was
    put back, ended or moved meanwhile is not notified of."""
    rows = [row for row in ctx.db.query(
        f"SELECT {COLUMNS} FROM {{failed_emails}} WHERE id IN (:ids) AND +status = 'failed' "
        f"AND told_at IS NULL ORDER BY id{ctx.db.for_update}", ids=[row["id"] for row in rows])
        if row["user_id"] == user_id]
    if not rows:
        return 0
    user = ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id AND status <> 'deleted'",
                      id=user_id)
    # Mail that machines send to machines never causes a notice by itself: two of them could answer
    # each other for ever. Where a notice is written anyway, it lists them too.
    if user is None or all(is_automatic(folder, row) for row in rows):
        _mark(ctx, rows, None)
        return 0
    to_email = _address(ctx, user, failing)
    if to_email is None:
        _mark(ctx, rows, None)
        return 0
    user = {"id": user_id, "name": user["name"] or user["email"], "email": to_email}
    key = enqueue.dedupe_key(
        f"forward-failed:{user_id}:{enqueue.short_hash(destination)}:{ctx.now:%Y-%m-%d}")
    notice = ctx.db.row("SELECT id, CASE WHEN status = 'pending' "
                        "AND attempts = 0 THEN 1 ELSE 0 END AS is_open "
                        "FROM {notifications} WHERE dedupe_key = :key" + ctx.db.for_update, key=key)
    if notice is None:
        _mark(ctx, rows, enqueue.notify(ctx, user, KIND, key,
                                        _values(ctx, folder, destination, rows, len(rows))))
        return 1
    # else it was tried before: sent as it is; what fails now waits for tomorrow's
    if notice["is_open"]:
        _extend(ctx, folder, user, destination, rows, notice["id"])
    return 0


def _extend(ctx, folder: str, user: dict, destination: str, rows: list[dict], id: int) -> None:
    """Have a notice that nobody has begun to send list these rows as well."""
    before = ctx.db.query(f"SELECT {COLUMNS} FROM {{failed_emails}} WHERE notice_id = :id "
                          "ORDER BY id LIMIT :most", id=id, most=LISTED)
    number = ctx.db.value("SELECT COUNT(*) FROM {failed_emails} WHERE notice_id = :id", id=id)
    letter = enqueue.write_to(ctx, user, KIND, _values(ctx, folder, destination, before + rows,
                                                       number + len(rows)))
    ctx.db.execute("UPDATE {notifications} "
                   "SET subject = :subject, body_text = :text, body_html = :html WHERE id = :id",
                   subject=letter.subject, text=letter.text, html=letter.html, id=id)
    _mark(ctx, rows, id)


def _address(ctx, user: dict, failing: set) -> str | None:
    """Where the owner can be notified: not where mail to them has just failed. None: nowhere."""
    others = ctx.db.query("SELECT email FROM {destinations} WHERE user_id = :id "
                          "AND verified_at IS NOT NULL ORDER BY verified_at, id LIMIT :most",
                          id=user["id"], most=OTHER_ADDRESSES)
    for address in (user["email"], *(row["email"] for row in others)):
        is_failing = words(address).lower() in failing
        if not is_failing and enqueue.is_reachable(ctx, {"id": user["id"], "email": address}):
            return address
    ctx.log.warning("owner cannot be notified", user_id=user["id"], reason="mail to all of their "
                    "addresses has just failed")
    return None


def is_automatic(folder: str, row: dict) -> bool:
    """Whether the message is a bounce or says that a machine sent it (RFC 3834)."""
    if not row["envelope_from"]:
        return True
    return header_text(_headers(folder, row), "Auto-Submitted").lower() not in ("", "no")


def _headers(folder: str, row: dict):
    return read_headers(_path(folder, row) or "")


def _path(folder: str, row: dict) -> str | None:
    """The file with the content, if it is there."""
    try:
        path = spool.locate(folder, row["raw_path"])
        return path if os.path.isfile(path) else None
    except (spool.SpoolError, ValueError, OSError):
        return None


def _mark(ctx, rows: list[dict], notice_id: int | None) -> None:
    ctx.db.execute("UPDATE {failed_emails} SET told_at = :now, notice_id = :notice "
                   "WHERE id IN (:ids)", now=ctx.clock(), notice=notice_id,
                   ids=[row["id"] for row in rows])


# What it says

def _values(ctx, folder: str, destination: str, rows: list[dict], number: int) -> dict:
    """What the templates show: to whom, from whom, what, why, until when it is kept, and what to
    do."""
    key = partial(ctx.db.key, "aliases")
    aliases = {key(row["id"]): row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows})}
    keep = ctx.options_of("purge_failed_emails").keep
    messages: list[dict] = []
    advice: list[str] = []
    for row in rows[:LISTED]:
        why, what_to_do, ours = in_words(row["last_code"], row["last_error"])
        if what_to_do not in advice:
            advice.append(what_to_do)
        headers = _headers(folder, row)
        ended = clock.parse_any(row["finished_at"]) or clock.parse_any(row["created_at"])
        messages.append({
            "from": header_text(headers, "From") or one_line(row["envelope_from"]) or "(no sender)",
            "subject": header_text(headers, "Subject") or "(no subject)",
            "alias": aliases.get(key(row["alias_id"]), "an alias of yours"),
            "received": _when(clock.parse_any(row["created_at"])), "tried": "" if ours
            else _times(row["attempts"]),
            "ended": _when(ended), "why": why, "said": _said(row, ours),
            "kept": _when(clock.plus(ended, keep)) if keep and ended and _path(folder, row)
            else ""})
    more = number - len(messages)
    return {"destination": destination or "an unknown address", "many": number > 1,
            "number": f"{number:,}", "messages": messages, "more": f"{more:,}" if more > 0 else "",
            "advice": advice, "kept": any(message["kept"] for message in messages)}


def _when(moment) -> str:
    return render.minute(moment) if moment else "an unknown time"


def _said(row: dict, ours: bool) -> str:
    """The other server's own words."""
    if not row["last_error"] or ours:
        return ""
    answer = f"the server answered {row['last_code']} " if row["last_code"] else ""
    return one_line(answer + words(row["last_error"]), 220)


def _times(retries) -> str:
    """How often it was tried: the first time by the mail hook."""
    number = retries + 1 if isinstance(retries, int) and 0 < retries < 1000 else 1
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def in_words(code, error) -> tuple[str, str, bool]:
    """(why it failed, what the owner can do, whether it was never offered) for an SMTP reply (RFC
    3463)."""
    text, answered = words(error), isinstance(code, int) and code > 0
    for enhanced, why, what_to_do in BY_STATUS:
        if text.startswith(enhanced) and text[len(enhanced):len(enhanced) + 1] in ("", ".", " "):
            return why, what_to_do, not answered
    if answered:
        return (*(REFUSED if code >= 500 else NO_ANSWER), False)
    for reason, wording in BY_REASON.items():
        if reason.explains(text):
            return (*wording, True)
    return (*OUR_FAULT, True) if EXCEPTION.match(text) else (*NO_ANSWER, False)
