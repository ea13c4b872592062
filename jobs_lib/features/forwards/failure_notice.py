"""Notifying owners, in plain words, of forwards that have finally failed: one notice an owner and
day.

The rows themselves say which of them no notice lists (`notice_id`), so a kill between failing and
notifying forgets nobody. The notice is written whatever address failed, and `notified_at` is set
when it was sent.
"""
from __future__ import annotations

import os
import re
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import chunked, one_line, words
from jobs_lib.engines import spool
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import Reminder
from jobs_lib.ports.mail import reasons

from .headers import header_text, read_headers

LISTED = 50                       # messages that a notice shows; more are counted
MOST = 2000                       # messages of one notice
IDS_AT_ONCE = 500
UNREPORTED = "status = 'failed' AND notified_at IS NULL AND notice_id IS NULL"
# a notice that was refused is sent to another address, while its rows are there
LISTS = ("{notifications}.id = {failed_emails}.notice_id AND {failed_emails}.status = 'failed'"
         " AND {failed_emails}.notified_at IS NULL")

FREE_SPACE = ("The mailbox is full.", "Free up space in the mailbox.")
SMALLER = "Ask the sender for a link instead of a file."
ANOTHER_WAY = "If you expected this message, ask the sender to contact you another way."
# {what the status code begins with (RFC 3463): (why, what the owner can do)}
BY_STATUS = {
    "5.1.1": ("The address does not exist.",
              "Check the address, and change or remove this destination."),
    "5.1.3": ("The address is not valid.", "Correct or remove this destination."),
    "5.1.10": ("The address does not accept mail.", "Change or remove this destination."),
    "5.1.2": ("We could not find the mail server of the address.",
              "Check the part of the address after the @."),
    "5.2.1": ("The mailbox is disabled.", "Ask your mailbox provider, or change this destination."),
    "5.2.2": FREE_SPACE,
    "4.2.2": FREE_SPACE,
    "5.3.4": ("The message is too large for the receiving mail server.", SMALLER),
    "5.2.3": ("The message is too large for the mailbox.", SMALLER),
    "5.4.6": (
        "The message went round in a loop.",
        "Check whether the mailbox forwards mail back to one of your aliases, and turn that off."),
    "5.7": (
        "The receiving mail server rejected the message, often because it looks like spam.",
        f"Nothing is wrong with your alias. {ANOTHER_WAY}"),
    "4.7": ("The receiving mail server did not accept the message yet because of its policies.",
            "If this keeps happening, ask your mailbox provider to accept mail from us."),
}
NO_ANSWER = ("The receiving mail server did not accept the message.",
             "If this keeps happening, check the mailbox, or use another destination.")
REFUSED = ("The receiving mail server rejected the message.",
           "Check the mailbox, or use another destination.")
OUR_FAULT = ("We could not send the message. The problem is on our side.",
             "You do not need to change anything.")
# what was never offered to the other server
BY_REASON = {
    reasons.TOO_LARGE: ("The message is too large for our mail server.", SMALLER),
    reasons.EIGHT_BIT: ("Our mail server cannot send a message in this format.",
                        "Ask the sender to send it in another format."),
    reasons.NOT_ASCII: (
        "Our mail server cannot handle special characters in this address or the sender's.",
        "Use a destination without letters such as é or ü."),
    reasons.BAD_SENDER: (
        "The sender's address is not valid, so we could not send the message.", ANOTHER_WAY),
    **dict.fromkeys((reasons.MISSING, reasons.EMPTY, reasons.NOT_A_FILE, reasons.NOT_A_PATH,
                     reasons.BAD_PATH), ("We no longer have the content of this message.",
                                         "Ask the sender to send it again.")),
    **dict.fromkeys((reasons.UNREADABLE, reasons.FORBIDDEN, reasons.CHANGED, reasons.STOPPED,
                     reasons.NO_TIME, reasons.DEFECT), OUR_FAULT),
}
# how mail_sending begins the text of an error in the content
EXCEPTION = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Warning): ")


def in_words(code, error) -> tuple[str, str, bool]:
    """(why it failed, what the owner can do, whether it was never offered) for an SMTP reply (RFC
    3463)."""
    text, answered = words(error), isinstance(code, int) and code > 0
    for enhanced, (why, what_to_do) in BY_STATUS.items():
        if text.startswith(enhanced) and text[len(enhanced):len(enhanced) + 1] in ("", ".", " "):
            return why, what_to_do, not answered
    if answered:
        return (*(REFUSED if code >= 500 else NO_ANSWER), False)
    for reason, wording in BY_REASON.items():
        if reason.explains(text):
            return (*wording, True)
    return (*OUR_FAULT, True) if EXCEPTION.match(text) else (*NO_ANSWER, False)


def _due(ctx) -> tuple[str, dict]:
    return UNREPORTED, {}


def _key(ctx, row: dict) -> str:
    """What fails after today's notice waits for tomorrow's."""
    return f"forward-failed:{row['user_id']}:{ctx.now:%Y-%m-%d}"


def _skip(ctx, rows: list[dict]) -> bool:
    """Whether machines sent all of them (RFC 3834): such mail causes no notice by itself, since two
    machines could answer each other for ever. Where a notice is written anyway, it lists it."""
    folder = ctx.section("spool").dir
    if not all(_is_automatic(folder, row) for row in rows):
        return False
    for some in chunked(rows, IDS_AT_ONCE) if not ctx.dry_run else ():
        ctx.db.execute("UPDATE {failed_emails} SET notified_at = :now WHERE id IN (:ids)",
                       now=ctx.clock(), ids=[row["id"] for row in some])
    return True


def _is_automatic(folder: str, row: dict) -> bool:
    return not row["envelope_from"] or header_text(
        _headers(folder, row), "Auto-Submitted").lower() not in ("", "no")


def _headers(folder: str, row: dict):
    return read_headers(_path(folder, row) or "")


def _path(folder: str, row: dict) -> str | None:
    """The file with the content, if it is there."""
    try:
        path = spool.locate(folder, row["raw_path"])
        return path if os.path.isfile(path) else None
    except (spool.SpoolError, ValueError, OSError):
        return None


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    """What the templates show: to whom, from whom, what, why, until when it is kept, and what to
    do."""
    key = partial(ctx.db.key, "aliases")
    aliases = {key(row["id"]): row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows[:LISTED]})}
    keep, folder = ctx.options_of("purge_failed_emails").keep, ctx.section("spool").dir
    messages, advice = [], {}
    for row in rows[:LISTED]:
        why, what_to_do, ours = in_words(row["last_code"], row["last_error"])
        advice[what_to_do] = True                   # each once, in their order
        headers = _headers(folder, row)
        ended = clock.parse_any(row["finished_at"]) or clock.parse_any(row["created_at"])
        messages.append({
            "from": render.unlinked(header_text(headers, "From") or one_line(row["envelope_from"])
                                    or "(no sender)"),
            "subject": render.unlinked(header_text(headers, "Subject") or "(no subject)"),
            "alias": aliases.get(key(row["alias_id"]), "an alias of yours"),
            "destination": words(row["envelope_to"]).lower() or "an unknown address",
            "received": _when(clock.parse_any(row["created_at"])),
            "tried": "" if ours else _times(row["attempts"]), "ended": _when(ended), "why": why,
            "said": render.unlinked(_said(row, ours)),
            "kept": _when(clock.plus(ended, keep)) if keep and ended and _path(folder, row)
            else ""})
    more, to = len(rows) - len(messages), {words(row["envelope_to"]).lower() for row in rows}
    # filters score a subject that names its own reader
    named = len(to) == 1 and not to & {"", words(user["email"]).lower()}
    return {"destination": messages[0]["destination"] if named else "", "many": len(rows) > 1,
            "number": f"{len(rows):,}", "messages": messages, "advice": list(advice),
            "more": f"{more:,}" if more else "", "kept": any(each["kept"] for each in messages)}


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


FAILED = Reminder("forward_failed", "failed_emails", "id", (
    "alias_id", "envelope_from", "envelope_to", "raw_path", "attempts", "last_code", "last_error",
    "created_at", "finished_at"), _due, (), _key, _values, LISTS, "notice_id", MOST,
    "envelope_to", _skip)
