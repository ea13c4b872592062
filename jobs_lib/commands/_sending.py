"""One message sent by hand, with each step of it in words: for `mail test` and `preview --send`.

It goes the way of all mail: the transport of [mail], within its limits, and counted against them.
"""
from __future__ import annotations

import time

from jobs_lib.database.schema import version
from jobs_lib.engines import attempts, relay
from jobs_lib.errors import FAILED, OK
from jobs_lib.ports.mail import IN_MEMORY, Envelope, Message, Result
from jobs_lib.ports.mail.replies import digest
from jobs_lib.ports.outcomes import RELAY, SENT
from jobs_lib.text import masking

SECONDS = 65.0           # for all of it; the transport keeps 5 of them
STEP = 10                # columns


class Steps:
    """Prints what was answered at each step, as it comes."""

    def __init__(self, console, hidden) -> None:
        self._report, self._hidden, self._last = console.report, hidden, "content"

    def step(self, name: str, answer=None) -> None:
        """As the transport calls it: as it begins, and once it is answered."""
        self._last = name
        if answer is not None:
            parts = [answer] if isinstance(answer, str) else map(str, filter(None, digest(answer)))
            self.say(name, " ".join(parts))

    def failed(self, result: Result) -> None:
        reply = " ".join(str(each) for each in (result.code, result.enhanced) if each)
        self.say(self._last, f"FAILED: {result.text}{f' ({reply})' if reply else ''}")
        self._report("-> docs/failures.md, Mail is not going out, explains the message.")

    def say(self, name: str, words: str) -> None:
        self._report(f"{name:<{STEP}}{masking.without_secrets(words, self._hidden)}")


def send(session, envelope: Envelope, content: bytes, item: str) -> int:
    """Send it and show how: 0 when it was accepted."""
    mail, console = session.config.section("mail"), session.console
    db, now = session.ports.database(), session.ports.now()
    version.check(db)
    if pause := relay.paused(db, now):
        console.fail(f"note: all mail is paused {pause}. This message is sent anyway: if it "
                     "is accepted, the pause ends.")
    limit = relay.Limits(db, mail, session.ports.now, attempts.BY_HAND)
    if refusal := db.batch(lambda: limit.room(urgent=True)):
        console.fail(f"jobs.py: {refusal.words}, and this message would count too.")
        return FAILED
    steps = Steps(console, db.hidden())
    transport = session.ports.mail(mail, steps.step)
    result = Result(RELAY, None, "", "nothing was sent")
    try:
        result = transport.send(envelope, Message(IN_MEMORY, content),
                                time.monotonic() + SECONDS, item)
    finally:
        transport.close()
        if attempts.said(result) not in attempts.NOT_COUNTED:
            relay.count(db, now)
    if result.outcome != SENT:
        steps.failed(result)
        return FAILED
    relay.works(db, now + relay.LONGEST_PAUSE)
    reader = masking.text(envelope.recipient)
    if mail.transport == "maildir":
        steps.say("maildir", f"a file in {mail.maildir}")
        console.report(f"It is for {reader}, and stays in that folder: with [mail] transport = "
                       "maildir nothing is sent to anyone.")
    else:
        console.report(
            f"Accepted for {reader}. "
            f"{'The pause of all mail has ended. ' if pause else ''}"
            "If it does not arrive, check your spam folder; the relay's last answer "
            "helps its operator to find it.")
    return OK
