"""Notices as a source of mail: what is sent of a row."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.engines import attempts, mime
from jobs_lib.ports.mail import IN_MEMORY, Envelope, Message
from jobs_lib.text import words
from jobs_lib.text.addresses import check

from . import PORTER

ATTEMPTS = 1000  # of a notice, among which its first is


class Notices:
    """Rows of `notifications`; the bodies were written by who queued them."""

    event, to = "notice", "to_email"

    def __init__(self, ctx) -> None:
        self.ctx, self.mail = ctx, ctx.section("mail")
        self.personas = vars(ctx.section("personas"))

    def prepare(self, row: dict) -> tuple[Envelope, Message]:
        """Put the message together. Its text is read now: a notice that nobody had begun to send
        may have been told more."""
        row.update(self.ctx.db.row("SELECT subject, body_text, body_html FROM {notifications} "
                                   "WHERE id = :id", id=row["id"]) or {})
        if row["persona"] not in self.personas:
            self.ctx.log.warning("unknown persona", id=row["id"], persona=row["persona"][:64])
        recipient = check(row["to_email"])
        # the first one's at each attempt, whatever the clock says: one may have arrived
        tried = attempts.of_item(self.ctx.db, "notification", row["id"], ATTEMPTS)
        date = next((each["began_at"] for each in tried if each["recipient"] == row["recipient"]
                     and each["outcome"] != attempts.POSTPONED), row["began_at"])
        content, author = compose(row, recipient, self.personas, self.mail.domain, date)
        return Envelope(self.mail.from_ or author, recipient), Message(IN_MEMORY, content)

    def why_not(self, row: dict) -> None:
        """Nothing is known before it is put together."""

    def sent(self, row: dict) -> None:
        """The owner of forwards that failed has been notified of them."""
        if row["kind"] == "forward_failed":
            self.ctx.db.execute("UPDATE {failed_emails} SET notified_at = :now WHERE status = "
                                "'failed' AND notified_at IS NULL AND notice_id = :id",
                                now=self.ctx.clock(), id=row["id"])


def compose(row: dict, recipient: str, personas: dict, domain: str, date) -> tuple[bytes, str]:
    """(the message, its author's address). The same row and `date`, a time as it is stored, give
    the same bytes. Text that an app stored as bytes or as a number is text all the same."""
    author, address = mime.mailbox(personas.get(row["persona"]) or personas[PORTER])
    created, html = clock.parse(row["created_at"]), row.get("body_html")
    return mime.message(author, recipient, row.get("subject") or "Notice", clock.parse(date),
                        f"notice.{row['id']}.{created:%Y%m%d%H%M%S}", domain,
                        words(row.get("body_text")), None if html is None else words(html)), address
