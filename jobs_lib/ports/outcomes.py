"""What can become of a message, and what a name server can say: one list of names each."""
from __future__ import annotations

import errno

from jobs_lib.records import namedtuple

SENT = "sent"  # accepted by the other side
RETRY = "retry"  # refused for now
FINAL = "final"  # refused for good, or for the last time
# the connection broke after the final dot: delivered or not, nobody knows
UNCERTAIN = "uncertain"
# connecting, TLS, authentication: the relay is paused
RELAY = "relay"
# MAIL was refused for our sender or quota: paused too, but this message may be the cause
AT_MAIL = "at MAIL"
# broken or silent before this message's content could begin
LOST = "lost"
# the stored file is there, but not for us: a problem of the host
UNREADABLE = "unreadable"
# nothing was sent, for a reason that has nothing to do with the item
GIVEN_BACK = "given back"

# Of a question to a name server: all that is no answer (SERVFAIL, REFUSED, silence, no resolver) is
# unknown, and says nothing about the name.
FOUND, NXDOMAIN, NODATA, UNKNOWN = "found", "nxdomain", "nodata", "unknown"

Answer = namedtuple("Answer", "outcome records why", defaults=((), ""))
Answer.__doc__ = """What came of one question.

outcome  FOUND, NXDOMAIN, NODATA or UNKNOWN        why  of UNKNOWN, in words
records  TXT: a text each, its strings joined; MX: (preference, host); CNAME: a name. Names are in
         lower case and without the dot at their end; the root itself is "."
"""

# This host has no file handle or memory left: no fault of the other side, nor of an item. A look-up
# has numbers of its own.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)  # no file can be there


def is_exhausted(error: BaseException) -> bool:
    """Whether an operation failed for want of these."""
    import socket  # only where something has failed
    numbers = ((socket.EAI_MEMORY, socket.EAI_SYSTEM) if isinstance(error, socket.gaierror)
               else EXHAUSTED)
    return isinstance(error, OSError) and error.errno in numbers
