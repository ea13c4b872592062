"""How far a connection to a relay gets, for `jobs.py doctor`: connect, EHLO, TLS, AUTH, QUIT, and
no message."""
from __future__ import annotations

import contextlib
import ssl
from collections import namedtuple

from .replies import Lost, judge_trouble
from .smtp_session import LIMITS, RelayTrouble, open_session

Probe = namedtuple("Probe", "trouble tls offers", defaults=("", "", {}))
Probe.__doc__ = """What came of it.

trouble  why it ended, in words; "" when a message could have followed     tls  `TLSv1.3`, or ""
offers   {extension in lower case: its parameters}
"""


def probe(mail, deadline: float) -> Probe:
    """A session as for sending, without a message. deadline: monotonic seconds."""
    try:
        session = open_session(mail, LIMITS, deadline)
    except RelayTrouble as trouble:
        return Probe(judge_trouble(trouble).text)
    try:
        sock = session.wire.sock
        tls = sock.version() or "" if isinstance(sock, ssl.SSLSocket) else ""
        found = Probe("", tls, dict(session.esmtp_features))
        with contextlib.suppress(Lost):
            session.wire.allow(LIMITS.quit)
            session.docmd("QUIT")
        return found
    finally:
        session.close()
