"""What the demo compares before and after its runs, and what was delivered."""
from __future__ import annotations

import json
import os
import zipfile
from jobs_lib.records import namedtuple

from jobs_lib.features.exports import download
from jobs_lib.features.forwards.headers import header_text, read_headers

from .data import GONE, PENDING_DOMAIN

State = namedtuple("State", "forwards held deliveries domain totals")
State.__doc__ = """The service at one moment.

forwards    {id: row}, with `subject`, `owner` (its status), and whether it `is_kept` and its file
            `is_there`
held        {id: row} of held mail, likewise
deliveries  {id: row} of webhooks, with `endpoint` (the end of its URL) and `owner`
domain      the row of the domain that waits for its records, with `results` {check: result}
totals      [{user_id, name, emails, bytes, rows}] of each user with mail, but not of deleted ones:
            e-mails and bytes of all time as any audit counts them, and the log rows behind them
"""


def look(db, spool: str, before: State | None = None) -> State:
    """The state now. Rows of `before` that are no longer in their table are not `is_kept`."""
    return State(_forwards(db, spool, before.forwards if before else {}),
                 _held(db, spool, before.held if before else {}),
                 _deliveries(db), _domain(db), _totals(db))


def _forwards(db, spool: str, before: dict) -> dict:
    rows = db.query("SELECT {failed_emails}.id, raw_path, {failed_emails}.status, attempts, "
                    "next_attempt_at, last_error, {failed_emails}.created_at, finished_at, "
                    "notice_id, {users}.status AS owner FROM {failed_emails} JOIN {users} "
                    "ON {users}.id = {failed_emails}.user_id ORDER BY {failed_emails}.id")
    for row in rows:
        path = os.path.join(spool, row["raw_path"])
        row["subject"] = header_text(read_headers(path), "Subject") if os.path.exists(path) else ""
    return _with_files(rows, spool, before)


def _held(db, spool: str, before: dict) -> dict:
    rows = db.query("SELECT id, subject, raw_path, held_at, warned_at, released_at "
                    "FROM {overflow_hold} ORDER BY id")
    return _with_files(rows, spool, before)


def _with_files(rows: list[dict], spool: str, before: dict) -> dict:
    found = {row["id"]: {**row, "is_kept": True} for row in rows}
    for number, row in before.items():
        found.setdefault(number, {**row, "is_kept": False})
    return {number: {**row, "is_there": os.path.exists(os.path.join(spool, row["raw_path"]))}
            for number, row in found.items()}


def _deliveries(db) -> dict:
    rows = db.query("SELECT {webhook_deliveries}.id, event_id, event_type, url, attempts, "
                    "{webhook_deliveries}.status, last_attempt_at, last_error, "
                    "{users}.status AS owner FROM {webhook_deliveries} JOIN {webhooks} "
                    "ON {webhooks}.id = webhook_id JOIN {users} "
                    "ON {users}.id = {webhook_deliveries}.user_id "
                    "ORDER BY {webhook_deliveries}.id")
    return {row["id"]: {**row, "endpoint": row["url"].rpartition("/")[2]} for row in rows}


def _domain(db) -> dict:
    row = db.row("SELECT name, status, dns_results FROM {domains} WHERE name = :name",
                 name=PENDING_DOMAIN)
    return {**row, "results": json.loads(row["dns_results"] or "{}")}


def _totals(db) -> list[dict]:
    logged = db.query("SELECT user_id, COUNT(*) AS number FROM {message_logs} GROUP BY user_id")
    rows = {row["user_id"]: row["number"] for row in logged}
    found = db.query("SELECT user_id, name, SUM(email_count) AS emails, SUM(bytes_used) AS bytes "
                     "FROM message_totals JOIN {users} ON {users}.id = user_id "
                     "WHERE name <> :gone GROUP BY user_id, name ORDER BY user_id", gone=GONE)
    return [{**row, "rows": rows.get(row["user_id"], 0)} for row in found]


def originals(db, spool: str) -> dict[int, bytes]:
    """{id: raw bytes} of the forwards that wait, and whose file is there."""
    rows = db.query("SELECT id, raw_path FROM {failed_emails} WHERE status = 'pending' ORDER BY id")
    found = {row["id"]: _read(os.path.join(spool, row["raw_path"])) for row in rows}
    return {number: content for number, content in found.items() if content is not None}


def delivered_forwards(maildir: str, originals: dict[int, bytes]) -> dict[int, bool]:
    """{id: whether it ends with the original, byte for byte} of those in the Maildir."""
    found = {number: _read(os.path.join(maildir, "new", f"forward-{number}.jobs"))
             for number in originals}
    return {number: content.endswith(originals[number]) for number, content in found.items()
            if content is not None}


def delivered_notice(maildir: str, number: int) -> dict | None:
    """The notice of this id as it is in the Maildir, or None: sender, to_email, subject, body_text,
    body_html."""
    from email import message_from_bytes, policy

    content = _read(os.path.join(maildir, "new", f"notice-{number}.jobs"))
    if content is None:
        return None
    message = message_from_bytes(content, policy=policy.default)
    text, html = (part.get_content().replace("\r\n", "\n") if part else None
                  for part in (message.get_body((form,)) for form in ("plain", "html")))
    return {"sender": message["From"], "to_email": message["To"], "subject": message["Subject"],
            "body_text": text or "", "body_html": html}


def opened_export(db, config, maildir: str, now) -> dict | None:
    """The latest export, opened as its owner opens it: by the link in the delivered notice. None if
    there is none.

    `link` (with a token), `path`, `files` [(name, bytes)] and `readme`.
    """
    number = db.value("SELECT MAX(id) FROM {notifications} WHERE kind = 'export_ready'")
    notice = delivered_notice(maildir, number) if number else None
    text = notice["body_text"] if notice else ""
    link = next((word for word in text.split() if "?t=" in word), "")
    found = link and download.find(link.partition("?t=")[2], config, now)
    if not found:
        return None
    with zipfile.ZipFile(found.path) as file:
        return {"link": link, "path": found.path, "readme": file.read("README.txt").decode(),
                "files": [(info.filename, info.file_size) for info in file.infolist()]}


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
