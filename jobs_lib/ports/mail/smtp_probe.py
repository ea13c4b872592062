"""How far a connection to a relay gets, for `jobs.py doctor`: connect, EHLO, TLS, AUTH, QUIT, and
no message."""
from __future__ import annotations

import contextlib
import ssl

from jobs_lib.records import namedtuple

from .replies import Disconnected, judge_no_session
from .smtp_session import LIMITS, NoSession, open_session

Probe = namedtuple("Probe", "problem tls offers", defaults=("", "", {}))
Probe.__doc__ = """What came of it.

problem  why it ended, in words; "" when a message could have followed
tls      `TLSv1.3`, or ""
offers   {extension in lower case: its parameters}
"""


def probe(mail, deadline: float) -> Probe:
    """A session as for sending, without a message. deadline: monotonic seconds."""
    try:
        session = open_session(mail, LIMITS, deadline)
    except NoSession as failure:
        return Probe(judge_no_session(failure).text)
    try:
        sock = session.connection.sock
        tls = sock.version() or "" if isinstance(sock, ssl.SSLSocket) else ""
        found = Probe("", tls, dict(session.esmtp_features))
        with contextlib.suppress(Disconnected):
            session.connection.allow(LIMITS.quit)
            session.docmd("QUIT")
        return found
    finally:
        session.close()
