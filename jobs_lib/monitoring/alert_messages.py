"""The text of an alert, for an operator who is woken by it, and the channels: e-mail and a webhook.

The operator's own URL is trusted: it may lead to an address that is not public.
"""
from __future__ import annotations

import json
import os
import textwrap

from jobs_lib import clock
from jobs_lib.engines import mime
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HOME, program
from jobs_lib.ports.http import Request, refusal
from jobs_lib.ports.mail import IN_MEMORY, Envelope, Message
from jobs_lib.ports.outcomes import SENT, UNCERTAIN
from jobs_lib.records import namedtuple
from jobs_lib.runner.history import host
from jobs_lib.text import capital
from jobs_lib.text.addresses import check

from .incidents import Notice, short_error, short_time

Alert = namedtuple("Alert", "subject text incidents", defaults=((),))
Alert.__doc__ = "One text for all channels, and its incidents as fields, for a webhook."

CHANNELS = {"email": "e-mail", "webhook": "the webhook"}
SECONDS = 40.0  # for one channel
WIDTH = 76
PREFIXES = {"new": "", "once": "back to normal: ", "still": "still: ", "over": "resolved: "}
LONGEST_CONTENT = 1900  # characters: Discord accepts 2,000


# Texts

def alert(notices: list[Notice], config) -> Alert:
    """One message of all that is to be reported."""
    first, more = notices[0], len(notices) - 1
    remind = config.section("alerts").remind
    start = program(config.path)
    subject = PREFIXES[first.state] + first.incident.subject
    if more:
        subject += f" (and {more} more)"
    items = [_item(each, config.zone(), start) for each in notices]
    if remind and any(each.state in ("new", "still") for each in notices):
        items.append(f"You will be reminded after {remind.total_seconds() / 3600:g} h, and "
                     "notified when this is resolved.")
    return Alert(subject, "\n\n".join(items), [_fields(each, start) for each in notices])


def _item(notice: Notice, zone, start: str) -> str:
    state, each = notice.state, notice.incident
    subject = f"{PREFIXES[state].upper()}{capital(each.subject)}."
    lines = [*textwrap.wrap(subject, WIDTH), ""]
    facts = {"since": short_time(each.since, zone), "last error": each.error,
             "more": f"docs/monitoring.md#{each.kind}"}
    if state == "over":
        facts["resolved"] = f"by {short_time(notice.over_at, zone)}"
    else:
        lines += [*textwrap.wrap(each.what, WIDTH), ""] if each.what else []
    for name, value in facts.items():
        lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:<10}  ",
                               subsequent_indent=" " * 14, break_long_words=False,
                               break_on_hyphens=False)
    if state != "over" and each.command:
        # not folded, so that it can be copied
        lines.append(f"  {'run next':<10}  {start} {each.command}")
    return "\n".join(lines)


def _fields(notice: Notice, start: str) -> dict:
    each = notice.incident
    return {"state": notice.state, "name": each.key, "kind": each.kind, "subject": each.subject,
            "since": clock.text(each.since), "what": each.what, "last_error": each.error,
            "command": each.command and f"{start} {each.command}"}


# Channels

def channels(config) -> list[str]:
    return [name for name in CHANNELS if getattr(config.section("alerts"), name)]


def send(message: Alert, config, ports, names: list[str], seconds: float = SECONDS) -> dict:
    """Send it by these channels, in so many seconds each: {name: what went wrong, or ""}."""
    ways, errors = {"email": _email, "webhook": _webhook}, {}
    subject = f"[jobs] {message.subject}"
    text = f"{message.text}\n\n-- \n{host()}, {HOME}\n"
    for name in names:
        errors[name] = ""
        try:
            ways[name](subject, text, message.incidents, config, ports, seconds)
        except ConfigError as error:
            errors[name] = short_error("; ".join(error.problems))
        except (JobsError, OSError, ValueError) as error:  # certificates, an address
            errors[name] = short_error(str(error))
    return errors


def _email(subject: str, text: str, _, config, ports, seconds: float) -> None:
    """To each address. One that accepts it is enough."""
    mail, now, errors = config.section("mail"), ports.now(), []
    end = ports.monotonic() + seconds  # of all: the other channel has its turn, too
    addresses = config.section("alerts").email
    transport = ports.mail(mail)
    try:
        for recipient in addresses:
            sender = check(mail.from_ or recipient)
            name = f"alert.{now:%Y%m%d%H%M%S}.{os.urandom(4).hex()}"
            content = mime.message(f"jobs.py <{sender}>", recipient, subject, now, name,
                                   mail.domain, text)
            result = transport.send(Envelope(sender, recipient), Message(IN_MEMORY, content),
                                    end, name)
            # a message twice a minute would be worse than a late one
            if result.outcome not in (SENT, UNCERTAIN):
                where = mail.maildir if mail.transport == "maildir" else f"{mail.host}:{mail.port}"
                reply = f"{result.code or ''} {result.text.removeprefix(f'{where}: ')}".strip()
                errors.append(f"{where}: {reply}")
    finally:
        transport.close()
    if len(errors) == len(addresses):
        raise JobsError("; ".join(dict.fromkeys(errors)))


def _webhook(subject: str, text: str, incidents, config, ports, _) -> None:
    """One POST; anything but 2xx is a failure."""
    short = f"{subject}\n{text}"
    document = {"text": short, "content": short[:LONGEST_CONTENT], "title": subject,
                "message": text, "host": host(), "folder": HOME, "incidents": [*incidents]}
    request = Request("alert", config.section("alerts").webhook,
                      [("Content-Type", "application/json")], json.dumps(document).encode("ascii"))
    if error := refusal(ports.trusted_http().post(request)):
        raise JobsError(error)
