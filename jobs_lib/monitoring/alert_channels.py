"""The channels to the operator: e-mail and a webhook. Each returns what went wrong, or "" when the
alert was sent.

The operator's own URL is trusted: it may lead to an address that is not public.
"""
from __future__ import annotations

import os

from jobs_lib.addresses import check
from jobs_lib.engines.mime import date, message, words
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.ports.http.message import Request, post_in_time, refusal
from jobs_lib.ports.mail.message import IN_MEMORY, Envelope, Message
from jobs_lib.ports.outcomes import SENT, UNCERTAIN

EMAIL_SECONDS = 40.0            # for one recipient
AGAIN = "The message may have arrived: the connection broke at its end."


def send_email(alert, alerts, mail, transport, deadline: float, now, counted=None) -> str:
    """To each address. One that accepts it is enough; `counted()` is called for each."""
    errors, taken = [], 0
    for recipient in alerts.email:
        result = transport.send(*_mail(alert, recipient, mail, now), deadline,
                                f"alert-{now:%Y%m%d%H%M%S}-{taken}")
        if result.outcome in (SENT, UNCERTAIN):
            # a message twice a minute would be worse than a late one
            taken += 1
            if counted:
                counted()
        else:
            where = mail.maildir if mail.transport == "maildir" else f"{mail.host}:{mail.port}"
            reply = f"{result.code or ''} {result.text}".strip()
            # most replies name the relay
            errors.append(reply if reply.startswith(where) else f"{where}: {reply}")
    return "" if taken else "; ".join(dict.fromkeys(errors))


def _mail(alert, recipient: str, mail, now) -> tuple:
    sender = check(mail.from_ or recipient)
    name = f"alert.{now:%Y%m%d%H%M%S}.{os.urandom(4).hex()}"
    domain = check(f"x@{mail.domain}").rpartition("@")[2]
    headers = [("From", f"jobs.py <{sender}>"), ("To", recipient),
               ("Subject", words(alert.subject)),
               ("Date", date(now)), ("Message-ID", f"<{name}@{domain}>"),
               ("Auto-Submitted", "auto-generated"),        # RFC 3834: so no machine answers
               ("X-Priority", "1")]
    return Envelope(sender, recipient), Message(IN_MEMORY, message(headers, alert.text, None, name))


def send_webhook(alert, alerts, poster) -> str:
    """One POST; anything but 2xx is a failure."""
    request = Request("alert", alerts.webhook, [("Content-Type", "application/json")],
                      alert.document)
    return refusal(post_in_time(poster, request, alerts.timeout))


def attempt(send) -> str:
    """The result of `send()`, or what is wrong with the sections that it needs."""
    try:
        return send()
    except ConfigError as error:
        return "; ".join(error.problems)
    except (JobsError, OSError, ValueError, RuntimeError) as error:
        # certificates, an address, no thread
        return str(error)
