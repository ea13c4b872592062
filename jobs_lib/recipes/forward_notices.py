"""Telling an owner, in plain words, which forwards have finally failed: one notice a destination and day.

The rows themselves say who has not been told (`told_at`), so a kill between failing and telling forgets nobody.
A notice that still waits to be sent takes in the failures that follow; one that has gone out is followed by
another the day after.
"""
from __future__ import annotations

from functools import partial
from itertools import groupby

from . import letters, notices, spool
from .headers import header_text, read_headers

KIND = "forward_failed"
MOST_ROWS = 1000                  # a run tells of so many; the rest is told by the next
LISTED = 50                       # messages a notice lists; more are counted

REASONS = (
    ("5.1.1", "The address does not exist.", "Check the address, and change or remove this destination."),
    ("5.1.3", "The address is not a valid one.", "Correct or remove this destination."),
    ("5.1.10", "The address does not accept mail.", "Change or remove this destination."),
    ("5.1.2", "The mail server of the address could not be found.", "Check the part of the address after the @."),
    ("5.2.1", "The mailbox is switched off.", "Ask whoever runs this mailbox, or change this destination."),
    ("5.2.2", "The mailbox is full.", "Make room in the mailbox."),
    ("4.2.2", "The mailbox was full at every try.", "Make room in the mailbox."),
    ("5.3.4", "The message is too large for the other server.", "Ask the sender for a link instead of a file."),
    ("5.2.3", "The message is too large for the mailbox.", "Ask the sender for a link instead of a file."),
    ("5.4.6", "The message went round in a circle.", "Look for a rule in the mailbox that forwards back to an alias."),
    ("5.7", "The other server refused the message by its rules, often as suspected spam.",
     "Nothing is wrong with your alias. If you expected this message, ask the sender to use another way."),
    ("4.7", "The other server kept putting the message off by its rules.",
     "If this goes on, ask whoever runs the mailbox to accept mail from us."),
)
NO_ANSWER = ("The other server did not take the message at any try.",
             "If this goes on, check the mailbox, or choose another destination.")
NOT_STORED = ("Its content is no longer there.", "Ask the sender to send it again.")
REFUSED = ("The other server refused the message.", "Check the mailbox, or choose another destination.")


def tell_owners(ctx, counts: dict) -> None:
    """Queue the notices that are owed. Each is one commit with the marks of the rows it lists."""
    rows = ctx.db.query("SELECT id, user_id, alias_id, envelope_from, envelope_to, raw_path, attempts, last_code,"
                        " last_error, created_at, finished_at FROM {failed_emails} WHERE status = 'failed'"
                        " AND told_at IS NULL ORDER BY id LIMIT :most", most=MOST_ROWS)
    if not rows:
        return
    folder = ctx.section("spool").dir
    rows.sort(key=_owner_and_destination)
    for (user_id, destination), group in groupby(rows, key=_owner_and_destination):
        told = ctx.db.batch(partial(_tell, ctx, folder, user_id, destination, list(group)))
        counts["notices"] = counts.get("notices", 0) + told


def _owner_and_destination(row: dict) -> tuple:
    return row["user_id"], row["envelope_to"].lower()


def _tell(ctx, folder: str, user_id: int, destination: str, rows: list[dict]) -> int:
    user = ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id AND status <> 'deleted'", id=user_id)
    # Mail that machines send to machines never causes a notice by itself: two of them could answer each other
    # for ever. Where a notice is written anyway, it lists them too.
    if user is None or not notices.reaches(ctx, user) or all(_automatic(folder, row) for row in rows):
        _mark(ctx, rows, None)
        return 0
    key = f"forward-failed:{user_id}:{notices.short_hash(destination)}:{ctx.now:%Y-%m-%d}"
    notice = ctx.db.row("SELECT id, status FROM {notifications} WHERE dedupe_key = :key" + ctx.db.for_update, key=key)
    if notice and notice["status"] != "pending":
        return 0                                # today's has gone out; these wait for tomorrow's
    if notice:
        rows = ctx.db.query("SELECT id, alias_id, envelope_from, envelope_to, raw_path, attempts, last_code,"
                            " last_error, created_at, finished_at FROM {failed_emails} WHERE notice_id = :id"
                            " ORDER BY id", id=notice["id"]) + rows
    letter = letters.write(ctx, KIND, {"name": user["name"] or user["email"],
                                       **_values(ctx, folder, destination, rows)})
    if notice:
        ctx.db.execute("UPDATE {notifications} SET subject = :subject, body_text = :text, body_html = :html"
                       " WHERE id = :id", subject=letter.subject, text=letter.text, html=letter.html, id=notice["id"])
    notice_id = notice["id"] if notice else notices.queue(
        ctx.db, now=ctx.clock(), user_id=user_id, kind=KIND, to_email=user["email"], letter=letter, dedupe_key=key)
    _mark(ctx, rows, notice_id)
    return 0 if notice else 1


def _automatic(folder: str, row: dict) -> bool:
    """Whether the message is a bounce or says that a machine sent it (RFC 3834)."""
    if not row["envelope_from"]:
        return True
    return header_text(_headers(folder, row), "Auto-Submitted").lower() not in ("", "no")


def _headers(folder: str, row: dict):
    try:
        return read_headers(spool.locate(folder, row["raw_path"]))
    except spool.SpoolError:
        return read_headers("")


def _mark(ctx, rows: list[dict], notice_id: int | None) -> None:
    ctx.db.execute("UPDATE {failed_emails} SET told_at = :now, notice_id = :notice WHERE id IN (:ids)",
                   now=ctx.clock(), notice=notice_id, ids=[row["id"] for row in rows])


def _values(ctx, folder: str, destination: str, rows: list[dict]) -> dict:
    """What the templates show: to whom, from whom, what, why, and what to do."""
    aliases = {row["id"]: row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)", ids=sorted({row["alias_id"] for row in rows}))}
    messages: list[dict] = []
    advice: list[str] = []
    for row in rows[:LISTED]:
        why, what_to_do = in_words(row["last_code"], row["last_error"])
        if what_to_do not in advice:
            advice.append(what_to_do)
        headers = _headers(folder, row)
        messages.append({
            "from": header_text(headers, "From") or notices.one_line(row["envelope_from"] or "(none)"),
            "subject": header_text(headers, "Subject") or "(none)",
            "alias": aliases.get(row["alias_id"], "an alias of yours"), "received": f"{row['created_at'][:16]} UTC",
            "tried": _times(row["attempts"] + 1), "ended": f"{(row['finished_at'] or row['created_at'])[:16]} UTC",
            "why": why, "said": _said(row, why)})
    return {"destination": destination, "many": len(rows) > 1, "number": f"{len(rows):,}", "messages": messages,
            "more": f"{len(rows) - LISTED:,}" if len(rows) > LISTED else "", "advice": advice,
            "kept": any(words != NOT_STORED[1] for words in advice)}


def _said(row: dict, why: str) -> str:
    """The other server's own words, or what we found, where there is no code."""
    if not row["last_error"] or why == NOT_STORED[0]:
        return ""
    answer = f"the answer was {row['last_code']} " if row["last_code"] else ""
    return notices.one_line(answer + row["last_error"], 220)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def in_words(code: int | None, error: str | None) -> tuple[str, str]:
    """(why it failed, what the owner can do) for an SMTP reply (RFC 3463 for the enhanced codes)."""
    words = error or ""
    for enhanced, why, what_to_do in REASONS:
        if words.startswith(enhanced) and words[len(enhanced):len(enhanced) + 1] in ("", ".", " "):
            return why, what_to_do
    if words.startswith(("the stored message", "raw_path")):
        return NOT_STORED
    return REFUSED if code and code >= 500 else NO_ANSWER
