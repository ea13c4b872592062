"""The mail port: what is handed to a transport, and what came of it.

A transport never raises for what a server or a message does: everything that can happen to one
message is a `Result`.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

# sender "" is the null reverse-path `<>` (RFC 5321 4.5.5)
Envelope = namedtuple("Envelope", "sender recipient")

# path: the raw message, or IN_MEMORY when all of it is in the head; head: bytes put before it (our
# trace header), whose lines end with CRLF
Message = namedtuple("Message", "path head")
IN_MEMORY = object()

# outcome: see ports/outcomes.py; code: the three digits of the reply, or None when there was none;
# enhanced: `5.7.1` or ""; text: at most 512 printable characters, never empty
Result = namedtuple("Result", "outcome code enhanced text")

# A message is not begun with less time than this (seconds) before the hard limit: the caller looks.
MESSAGE_MINIMUM = 60
