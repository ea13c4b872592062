"""One message sent by hand, with each step of it in words: for `mail test` and `preview --send`.

It goes the way of all mail: the transport of [mail], within its limits, and counted against them.
"""
from __future__ import annotations

import time

from jobs_lib import masking
from jobs_lib.database.schema import version
from jobs_lib.engines import attempts, relay
from jobs_lib.errors import FAILED, OK
from jobs_lib.ports.mail import open_transport
from jobs_lib.ports.mail.message import IN_MEMORY, Envelope, Message, Result
from jobs_lib.ports.mail.replies import digest
from jobs_lib.ports.outcomes import RELAY, SENT

SECONDS = 65.0           # for all of it; the transport keeps 5 of them
STEP = 10                # columns
FIX = "docs/failures.md, Mail is not going out, explains what the relay says."


class Steps:
    """What was answered at each step, and at which one it failed."""

    def __init__(self) -> None:
        self.done: list[dict] = []

    def step(self, name: str, answer=None) -> None:
        """As the transport calls it (ports.mail.open_transport)."""
        if answer is None:
            self.done.append({"step": name, "ok": False, "answer": ""})
            return
        fine = True
        if not isinstance(answer, str):
            code, enhanced, text = digest(answer)
            fine, answer = code < 400, f"{code} {enhanced} {text}".replace("  ", " ")
        self.done[-1].update(ok=fine, answer=answer)

    def failed(self, result: Result, at: str) -> None:
        """Say why it ended in the step that was not completed, or in the one named `at`."""
        if not self.done or self.done[-1]["ok"]:
            self.step(at)
        if not self.done[-1]["answer"]:
            reply = " ".join(str(each) for each in (result.code or "", result.enhanced) if each)
            self.done[-1]["answer"] = f"{result.text}{f' ({reply})' if reply else ''}"


def send(session, envelope: Envelope, content: bytes, item: str) -> int:
    """Send it and show how: 0 when it was accepted."""
    mail = session.config.section("mail")
    db = session.ports.database()
    version.check(db)
    now = session.ports.now()
    if pause := relay.paused(db, now):
        session.console.fail(f"note: all mail is paused {pause}. This message is sent all the "
                             "same: if it is accepted, the pause ends.")
    limit = relay.Limits(db, mail, session.ports.now, attempts.BY_HAND)
    if refusal := db.batch(lambda: limit.room(urgent=True)):
        session.console.fail(f"jobs.py: {refusal.words}, and this message would count too.")
        return FAILED
    steps = Steps()
    transport = open_transport(mail, step=steps.step)
    result = Result(RELAY, None, "", "nothing was sent")
    try:
        result = transport.send(envelope, Message(IN_MEMORY, content), time.monotonic() + SECONDS,
                                item)
    finally:
        transport.close()
        if attempts.said(result) not in attempts.NOT_COUNTED:
            relay.count(db, now)
    if result.outcome == SENT:
        relay.works(db, now + relay.LONGEST_PAUSE)
    if result.outcome == SENT and mail.transport == "maildir":
        steps.done.append({"step": "maildir", "ok": True, "answer": f"a file in {mail.maildir}"})
    elif result.outcome != SENT:
        steps.failed(result, "maildir" if mail.transport == "maildir" else "content")
    hidden = db.hidden()
    for each in steps.done:
        each["answer"] = masking.without_secrets(each["answer"], hidden)
    _show(session.console, steps.done, envelope, mail.transport)
    return OK if result.outcome == SENT else FAILED


def _show(console, done: list[dict], envelope: Envelope, transport: str) -> None:
    for each in done:
        failed = "" if each["ok"] else "FAILED: "
        console.report(f"{each['step']:<{STEP}}{failed}{each['answer']}")
    if not done[-1]["ok"]:
        console.report(f"-> {FIX}")
    elif transport == "maildir":
        console.report(f"It is for {masking.text(envelope.recipient)}, and stays in that folder: "
                       "with [mail] transport = maildir nothing is sent to anyone.")
    else:
        console.report(f"Accepted for {masking.text(envelope.recipient)}. If it does not arrive, "
                       "look into the folder for spam; the relay's last answer helps its operator "
                       "to find it.")
