"""Failed forwards as a source of mail: what a row's message is."""
from __future__ import annotations

from jobs_lib.addresses import check
from jobs_lib.engines import spool
from jobs_lib.errors import JobsError
from jobs_lib.ports.mail import reasons
from jobs_lib.ports.mail.message import Envelope, Message, Result
from jobs_lib.ports.outcomes import FINAL

from . import srs
from .headers import loop_reason, trace_head

ATTEMPTS = 1000         # among which one that sent is looked for


class Forwards:
    """The raw messages of the spool, byte for byte, each behind our mark."""

    event, to = "forward", "envelope_to"

    def __init__(self, ctx) -> None:
        self.ctx, self.mail, self.spool = ctx, ctx.section("mail"), ctx.section("spool").dir
        self.srs_secret = self.mail.srs_secret or ctx.secret("srs").hex()
        self.loop_key = ctx.secret("loop")
        # before any of them has begun
        wrong = spool.all_missing(ctx.db, self.spool)
        if wrong and not self._has_sent():
            raise JobsError(wrong)

    def _has_sent(self) -> bool:
        """Whether a message was found and sent, now or lately: then the folder and the names are
        right, and what is missing is lost."""
        return bool(self.ctx.db.query(
            "SELECT 1 AS one FROM (SELECT outcome FROM {attempts} WHERE kind = 'forward' "
            "ORDER BY item_id DESC LIMIT :most) latest WHERE outcome = 'sent' LIMIT 1",
            most=ATTEMPTS))

    def why_not(self, row: dict) -> str | None:
        """Its file is missing."""
        return None if spool.is_there(self.spool, row["raw_path"]) else reasons.MISSING

    def prepare(self, row: dict) -> tuple[Envelope, Message] | Result:
        """Look at the message once more, and rewrite its sender."""
        check(row["envelope_to"])
        try:
            path = spool.locate(self.spool, row["raw_path"])
            mark = trace_head(self.loop_key, row["alias_id"], row["envelope_to"])
            loop = loop_reason(path, mark)
            if loop:
                return Result(FINAL, None, "5.4.6", loop)
            sender = srs.forward(row["envelope_from"], self.mail.domain, self.srs_secret,
                                 self.ctx.clock())
        except (spool.SpoolError, srs.SrsError) as error:
            return Result(FINAL, None, "", str(error))
        return Envelope(sender, row["envelope_to"]), Message(path, mark)

    def sent(self, row: dict) -> None:
        """Its file is deleted with the row."""
