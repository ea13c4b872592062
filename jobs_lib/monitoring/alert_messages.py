"""The text of an alert, for an operator who is woken by it, and the channels: e-mail and a webhook.

It says what happened, since when, the last error, and what to run next. The operator's own URL is
trusted: it may lead to an address that is not public.
"""
from __future__ import annotations

import json
import os
import textwrap
from contextlib import ExitStack, contextmanager

from jobs_lib import clock
from jobs_lib.engines import mime
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HOME
from jobs_lib.ports.http import Request, refusal
from jobs_lib.ports.mail.message import IN_MEMORY, Envelope, Message
from jobs_lib.ports.outcomes import SENT, UNCERTAIN
from jobs_lib.records import namedtuple
from jobs_lib.runner.history import host
from jobs_lib.text.addresses import check

from .incidents import short_time

Alert = namedtuple("Alert", "subject text document")  # document: for a webhook, as bytes
Way = namedtuple("Way", "section mail http deadline now counted", defaults=(None,))
Way.__doc__ = """What sending takes: functions for sections of the configuration, for the mail
transport and for the HTTP client; `counted()` is called for each mail that was sent."""

CHANNELS = {"email": "e-mail", "webhook": "the webhook"}
NO_CHANNEL = "no alert can be sent: set [alerts] email or webhook"
WIDTH = 76
PREFIXES = {"new": "", "once": "", "still": "still: ", "over": "resolved: "}
LONGEST_CONTENT = 1900  # characters: Discord accepts 2,000


# Texts

def alert(notices: list, remind, zone, start: str) -> Alert:
    """One message of all that is to be reported.

    `notices`: incidents.Notice; `remind`: a timedelta, or None; `start`: what a command line of
    this installation begins with (folders.program).
    """
    first, more = notices[0], len(notices) - 1
    subject = PREFIXES[first.state] + first.incident.subject
    if more:
        subject += f" (and {more} more)"
    items = [_item(each, zone, start) for each in notices]
    if remind and any(each.state in ("new", "still") for each in notices):
        items.append(f"You will be reminded after {remind.total_seconds() / 3600:g} hours, and "
                     "notified when this is resolved.")
    return plain(subject, "\n\n".join(items), [_fields(each, start) for each in notices])


def plain(subject: str, text: str, incidents=()) -> Alert:
    """A message; its `incidents`, as a webhook gets them."""
    subject, text = f"[jobs] {subject}", f"{text}\n\n-- \n{host()}, {HOME}\n"
    short = f"{subject}\n{text}"
    document = {"text": short, "content": short[:LONGEST_CONTENT], "title": subject,
                "message": text, "host": host(), "folder": HOME, "incidents": [*incidents]}
    return Alert(subject, text, json.dumps(document).encode("ascii"))


def _item(notice, zone, start: str) -> str:
    state, each = notice.state, notice.incident
    subject = each.subject
    if "_" not in subject.split(" ")[0]:  # the name of a job
        subject = subject[:1].upper() + subject[1:]
    lines = [*textwrap.wrap(f"{PREFIXES[state].upper()}{subject}.", WIDTH), ""]
    facts = {"since": short_time(each.since, zone), "last error": each.error,
             "more": f"docs/alerts.md#{each.kind}"}
    if state == "over":
        facts["resolved"] = f"by {short_time(notice.over_at, zone)}"
    else:
        lines += [*textwrap.wrap(each.what, WIDTH), ""]
    for name, value in facts.items():
        lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:<10}  ",
                               subsequent_indent=" " * 14, break_long_words=False,
                               break_on_hyphens=False)
    if state != "over" and each.command:
        # not folded, so that it can be copied
        lines.append(f"  {'run next':<10}  {start} {each.command}")
    return "\n".join(lines)


def _fields(notice, start: str) -> dict:
    each = notice.incident
    return {"state": notice.state, "name": each.key, "kind": each.kind, "subject": each.subject,
            "since": clock.text(each.since), "what": each.what, "last_error": each.error,
            "command": each.command and f"{start} {each.command}"}


# Channels

def configured(alerts) -> list[str]:
    """The channels that are set up in [alerts]."""
    return [name for name in CHANNELS if getattr(alerts, name)]


def send(channel: str, message: Alert, way: Way) -> str:
    """What went wrong, or "" when it was sent."""
    try:
        return {"email": _email, "webhook": _webhook}[channel](message, way)
    except ConfigError as error:
        return "; ".join(error.problems)
    except (JobsError, OSError, ValueError) as error:  # certificates, an address
        return str(error)


@contextmanager
def way_of(session, seconds: float):
    """A Way without a run, for a command or where there is no database; nothing is counted."""
    config, ports = session.config, session.ports
    with ExitStack() as stack:
        def mail():
            transport = ports.mail(config.section("mail"))
            stack.callback(transport.close)
            return transport
        yield Way(config.section, mail, ports.trusted_http, ports.monotonic() + seconds,
                  ports.now())


def _email(message: Alert, way: Way) -> str:
    """To each address. One that accepts it is enough."""
    mail, errors, taken = way.section("mail"), [], 0
    transport = way.mail()
    for recipient in way.section("alerts").email:
        result = transport.send(*_mail(message, recipient, mail, way.now), way.deadline,
                                f"alert-{way.now:%Y%m%d%H%M%S}-{taken}")
        if result.outcome in (SENT, UNCERTAIN):
            # a message twice a minute would be worse than a late one
            taken += 1
            if way.counted:
                way.counted()
        else:
            where = mail.maildir if mail.transport == "maildir" else f"{mail.host}:{mail.port}"
            reply = f"{result.code or ''} {result.text}".strip()
            # most replies name the relay
            errors.append(reply if reply.startswith(where) else f"{where}: {reply}")
    return "" if taken else "; ".join(dict.fromkeys(errors))


def _mail(message: Alert, recipient: str, mail, now) -> tuple:
    sender = check(mail.from_ or recipient)
    name = f"alert.{now:%Y%m%d%H%M%S}.{os.urandom(4).hex()}"
    content = mime.message(f"jobs.py <{sender}>", recipient, message.subject, now, name,
                           mail.domain, message.text)
    return Envelope(sender, recipient), Message(IN_MEMORY, content)


def _webhook(message: Alert, way: Way) -> str:
    """One POST; anything but 2xx is a failure."""
    alerts = way.section("alerts")
    request = Request("alert", alerts.webhook, [("Content-Type", "application/json")],
                      message.document)
    return refusal(way.http().post(request))
