"""Why a message was not offered to the other server: each reason once, with its sentence.

A row keeps the sentence (`last_error`), and the notice to its owner recognises the reason by it. So
a sentence that is reworded takes the former one along, as an entry of its own: rows that an earlier
version stored must still be understood. A reason that RFC 3463 has a fitting status code for
(5.1.3, 5.4.6) is recognised by the code and needs no entry.
"""
from __future__ import annotations

import re


class Reason:
    """A sentence with {names} in the place of what differs from message to message."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def text(self, **values) -> str:
        """The sentence about one message."""
        return self.sentence.format(**values)

    def explains(self, text: str) -> bool:
        """Whether the text, or what it begins with, is this sentence."""
        pattern = ".*".join(re.escape(part) for part in re.split(r"{\w+}", self.sentence))
        return re.match(pattern, text, re.DOTALL) is not None


# What the relay cannot take
TOO_LARGE = Reason("the message has {size} octets, the relay takes at most {limit}")
EIGHT_BIT = Reason("the message holds 8-bit data, the relay takes only 7-bit (no 8BITMIME)")
NOT_ASCII = Reason("the address is not ASCII, the relay takes only ASCII (no SMTPUTF8)")
BAD_SENDER = Reason("the sender cannot be rewritten: {error}")

# What is wrong with the stored message
MISSING = Reason("the stored message is missing")
EMPTY = Reason("the stored message is empty")
NOT_A_FILE = Reason("the stored message is not a regular file")
NOT_A_PATH = Reason("the path of the stored message is not a path")
BAD_PATH = Reason("raw_path {path}: {error}")
UNREADABLE = Reason("the stored message cannot be read: {error}")
FORBIDDEN = Reason("{path} may not be read by the user that runs the jobs")
CHANGED = Reason("the stored message changed while it was sent")

# What is wrong with us
EXHAUSTED = Reason("this host has no file handle or memory left ({error})")
STOPPED = Reason("stopped before a connection was made")
NO_TIME = Reason("no time was left to make a connection")
DEFECT = Reason("it could not be sent: an error of ours ({error})")
