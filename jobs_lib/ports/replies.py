"""What a relay's reply means for one message, and its text made fit to store and show."""
from __future__ import annotations

import re
from collections import namedtuple

from .mail import FINAL, LOST, RELAY, RETRY, SENT, UNCERTAIN, Result

MAX_TEXT = 512
CLOSING = 421                        # the relay hangs up, whatever it was asked (RFC 5321 3.8)
NOT_LET_IN = (530, 534, 535, 538)    # authentication or encryption is missing (RFC 4954 6)
BEGINNING = ("RSET", "MAIL", "RCPT", "DATA")     # lost here, nothing was delivered
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")      # RFC 2034


Reply = namedtuple("Reply", "code text")           # text: bytes, the lines joined by newlines


class Lost(Exception):
    """The connection broke, fell silent beyond its limit (`silent`), or said what is no SMTP."""

    def __init__(self, text: str, silent: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.silent = silent


def judge(reply: Reply, phase: str, pause_patterns) -> Result:
    """The Result behind the reply that decided over a message (RFC 5321 4.2.1). phase: what it answered."""
    code, enhanced, text = digest(reply)
    kind = code // 100
    if kind == 2 and phase == "dot":
        outcome = SENT
    elif kind in (4, 5) and (code in NOT_LET_IN or pauses(text, pause_patterns)):
        outcome = RELAY
    elif code == CLOSING and phase == "MAIL":
        outcome = RELAY                  # a new connection that is sent away before it named a recipient
    elif kind == 5:
        outcome = FINAL
    elif kind == 4:
        outcome = RETRY
    else:
        outcome = UNCERTAIN if phase == "dot" else RETRY
        text = plain(f"unexpected answer to {phase}: {text}")
    return Result(outcome, code, enhanced, text)


def judge_loss(lost: Lost, phase: str, reused: bool) -> Result:
    """What a broken connection means for the message in hand.

    Silence on a connection that had just been answering is the answer to this message and uses an attempt;
    otherwise a message that had not begun has used none.
    """
    if phase == "dot":
        outcome = UNCERTAIN
    elif phase in BEGINNING and (reused or not lost.silent):
        outcome = LOST
    else:
        outcome = RETRY
    where = {"dot": "after the final dot", "content": "while the content was sent"}.get(phase, f"at {phase}")
    return Result(outcome, None, "", plain(f"{lost.text} {where}"))


def judge_trouble(trouble) -> Result:
    """The Result of a session that could not be opened."""
    if trouble.reply is None:
        return Result(RELAY, None, "", plain(trouble.text))
    code, enhanced, text = digest(trouble.reply)
    return Result(RELAY, code, enhanced, plain(f"{trouble.text}: {text}"))


def pauses(text: str, patterns: list) -> bool:
    """Whether the text speaks of the sender's quota and not of this recipient; patterns are lower case."""
    lower = text.lower()
    return any(pattern in lower for pattern in patterns)


def digest(reply: Reply) -> tuple:
    """(code, enhanced status code or "", the rest of the text made harmless) of a reply."""
    lines = reply.text.decode("utf-8", "replace").split("\n")
    match = _ENHANCED.match(lines[0])
    enhanced = match[1] if match else ""
    if enhanced:
        # some repeat it on every line
        lines = [line[len(enhanced):].lstrip() if line.startswith(enhanced) else line for line in lines]
    return reply.code, enhanced, plain(" ".join(lines))


def plain(text: str) -> str:
    """At most 512 printable characters, never none; any other character becomes a question mark."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[:MAX_TEXT])
    return shown.strip() or "(no text)"
