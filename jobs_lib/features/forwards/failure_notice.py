"""Notices of forwards that have finally failed, in plain words: one an owner and day.

The rows themselves say which of them no notice lists (`notice_id`), so a kill between failing and
notifying forgets nobody. The notice is written whatever address failed, and `notified_at` is set
when it was sent.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database.stored import chunked
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import Reminder
from jobs_lib.ports.mail import reasons
from jobs_lib.text import one_line, words

from . import srs
from .source import header_text, read_headers

LISTED = 50                       # messages that a notice shows; more are counted
IDS_AT_ONCE = 500
UNREPORTED = "status = 'failed' AND notified_at IS NULL AND notice_id IS NULL"
# a notice that was refused is sent to another address, while its rows are there
LISTS = ("{notifications}.id = {failed_emails}.notice_id AND {failed_emails}.status = 'failed'"
         " AND {failed_emails}.notified_at IS NULL")

FREE_SPACE = ("The mailbox is full.", "Free up space in the mailbox.")
SMALLER = "Ask the sender for a link instead of a file."
TOO_LARGE = ("The message is too large for the receiving mail server.", SMALLER)
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
    "5.2.3": TOO_LARGE,
    "5.3.4": TOO_LARGE,
    "5.4.6": (
        "The message went round in a loop.",
        "Check whether the mailbox forwards mail back to one of your aliases, and turn that off."),
    "5.7": (
        "The receiving mail server rejected the message, often because it looks like spam.",
        f"Nothing is wrong with your alias. {ANOTHER_WAY}"),
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
    reasons.NOT_ASCII: (
        "Our mail server cannot handle special characters in this address or the sender's.",
        "Use a destination without letters such as é or ü."),
    reasons.BAD_SENDER: (
        "The sender's address is not valid, so we could not send the message.", ANOTHER_WAY),
    **dict.fromkeys((reasons.MISSING, reasons.EMPTY, reasons.NOT_A_FILE, reasons.BAD_PATH), (
        "We no longer have the content of this message.", "Ask the sender to send it again.")),
    **dict.fromkeys((reasons.EIGHT_BIT, reasons.UNREADABLE, reasons.CHANGED, reasons.NO_TIME,
                     reasons.DEFECT, "invalid"), OUR_FAULT),
}


def in_words(code, error) -> tuple[str, str, bool]:
    """(why it failed, what the owner can do, whether it was never offered) for an SMTP reply (RFC
    3463)."""
    text, answered = words(error), isinstance(code, int) and code > 0
    status = text.partition(" ")[0]
    for enhanced in (status, status.rpartition(".")[0]):
        if enhanced in BY_STATUS:
            return (*BY_STATUS[enhanced], not answered)
    if answered:
        return (*(REFUSED if code >= 500 else NO_ANSWER), False)
    for reason, wording in BY_REASON.items():
        if reasons.explains(reason, text):
            return (*wording, True)
    return (*NO_ANSWER, False)


def _skip(ctx, rows: list[dict]) -> bool:
    """Whether machines sent all of them (RFC 3834): such mail causes no notice by itself, since two
    machines could answer each other for ever. Where a notice is written anyway, it lists it."""
    folder = ctx.section("spool").dir
    if any(not srs.is_null(row["envelope_from"]) and header_text(
            read_headers(folder, row["raw_path"]), "Auto-Submitted").lower() in ("", "no")
           for row in rows):
        return False
    for some in chunked(rows, IDS_AT_ONCE) if not ctx.dry_run else ():
        ctx.db.execute("UPDATE {failed_emails} SET notified_at = :now WHERE id IN (:ids)",
                       now=ctx.clock(), ids=[row["id"] for row in some])
    return True


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    """What the templates show: to whom, from whom, what, why, until when it is kept, and what to
    do."""
    aliases = {row["id"]: row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows[:LISTED]})}
    listed = [_message(ctx, row, aliases.get(row["alias_id"], "one of your aliases"))
              for row in rows[:LISTED]]
    messages, more = [message for message, _ in listed], len(rows) - len(listed)
    return {"number": f"{len(rows):,}", "messages": messages,
            "advice": list(dict.fromkeys(what_to_do for _, what_to_do in listed)),
            "more": f"{more:,}" if more else "", "kept": any(each["kept"] for each in messages)}


def _message(ctx, row: dict, alias: str) -> tuple[dict, str]:
    """(what is shown of one, what its owner can do)."""
    keep = ctx.options_of("purge_failed_emails").keep
    why, what_to_do, ours = in_words(row["last_code"], row["last_error"])
    headers = read_headers(ctx.section("spool").dir, row["raw_path"])      # none: it is missing
    created = clock.parse_any(row["created_at"])
    ended = clock.parse_any(row["finished_at"]) or created
    answer = f"the server answered {row['last_code']} " if row["last_code"] else ""
    return {
        "from": render.unlinked(header_text(headers, "From") or one_line(row["envelope_from"])
                                or "(no sender)"),
        "subject": render.unlinked(header_text(headers, "Subject")
                                   or ("(no subject)" if headers else "(unknown)")),
        "alias": alias, "destination": words(row["envelope_to"]).lower() or "an unknown address",
        "received": _when(created), "ended": "" if ours else _when(ended), "why": why,
        "said": "" if ours or not row["last_error"] else render.unlinked(
            one_line(answer + words(row["last_error"]), 220)),
        "kept": _when(clock.plus(ended, keep)) if keep and ended and headers else ""}, what_to_do


def _when(moment) -> str:
    return render.minute(moment) if moment else "an unknown time"


FAILED = Reminder("forward_failed", "failed_emails", "id", (
    "alias_id", "envelope_from", "envelope_to", "raw_path", "last_code", "last_error",
    "created_at", "finished_at"), lambda ctx: (UNREPORTED, {}), ("notice_id",),
    # what fails after today's notice waits for tomorrow's
    "forward-failed:{user_id}:{day}", _values, LISTS, "envelope_to", _skip)
