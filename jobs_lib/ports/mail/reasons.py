"""Why a message was not offered to the other server: each reason once, with its sentence.

A row keeps the sentence (`last_error`), and the notice to its owner recognises the reason by it. So
a sentence that is reworded takes the former one along, as an entry of its own: rows that an earlier
version stored must still be understood. A reason that RFC 3463 has a fitting status code for
(5.1.3, 5.4.6) is recognised by the code and needs no entry. {names} stand for what differs from
message to message.
"""
from __future__ import annotations

import re

# What the relay cannot take
TOO_LARGE = "the message has {size} octets, the relay takes at most {limit}"
EIGHT_BIT = "the message holds 8-bit data, the relay takes only 7-bit (no 8BITMIME)"
NOT_ASCII = "the address is not ASCII, the relay takes only ASCII (no SMTPUTF8)"
BAD_SENDER = "the sender cannot be rewritten: {error}"

# What is wrong with the stored message
MISSING = "the stored message is missing"
EMPTY = "the stored message is empty"
NOT_A_FILE = "the stored message is not a regular file"
BAD_PATH = "raw_path {path}: {error}"
UNREADABLE = "the stored message cannot be read: {error}"
CHANGED = "the stored message changed while it was sent"

# What is wrong with us
EXHAUSTED = "this host has no file handle or memory left ({error})"
NO_TIME = "no time was left to make a connection"
DEFECT = "it could not be sent: an internal error ({error})"


def explains(sentence: str, text: str) -> bool:
    """Whether the text, or what it begins with, is this sentence."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"{\w+}", sentence))
    return re.match(pattern, text, re.DOTALL) is not None
