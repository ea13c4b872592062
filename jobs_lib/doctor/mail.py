"""Mail: the relay accepts TLS and our login, and our limits are below the host's. Nothing is
sent."""
from __future__ import annotations

import os
import time

from jobs_lib import clock
from jobs_lib.hostnames import LOOPBACK
from jobs_lib.output.findings import note, ok, problem, run, warning
from jobs_lib.ports.mail.smtp_probe import probe
from jobs_lib.records import namedtuple

from . import NothingToAsk
from .network import resolve

SECONDS = 5.0            # for connecting, TLS and login together
LEAST_SIZE = 10 * 1000 ** 2
LIMITS_PAGE = "docs/mail.md, How many an hour"

Panel = namedtuple("Panel", "name places")
PANELS = (Panel("cPanel", ("/usr/local/cpanel", "~/.cpanel")),
          Panel("DirectAdmin", ("/usr/local/directadmin",)),
          Panel("Plesk", ("/usr/local/psa", "/opt/psa")))
USUAL = {"cPanel": "cPanel hosts usually allow 100-500 messages an hour for each domain",
         "DirectAdmin": "DirectAdmin hosts usually allow 200-1,000 messages a day for each account",
         "Plesk": "Plesk hosts often limit messages an hour for each mailbox and domain"}
CPANEL_MOST = 500        # an hour: more than that is rarely allowed
CPANEL_FAILURES = 4      # one less than the 5 after which cPanel may block a domain
# Relays whose limit their own pages state: (end of the name, in words, a day, an hour, a minute).
Relay = namedtuple("Relay", "name words per_day per_minute")
RELAYS = (Relay("smtp.gmail.com", "Gmail allows 500 recipients a day, Google Workspace 2,000", 2000,
                None), Relay("smtp.office365.com", "Microsoft 365 allows 10,000 recipients a day "
                             "and 30 messages a minute", 10_000, 30))


def transport(installation):
    """Where mail goes, when it is not sent."""
    mail = installation.section("mail")
    if mail.transport == "maildir":
        yield note(f"[mail] transport = maildir: messages are written into {mail.maildir}, and "
                   "none is sent", "That is for trying things out.",
                   "Set transport = smtp, and the relay, to send them.")


def relay(installation):
    """The relay: name, connection, TLS verified by name, login, what it offers."""
    mail = installation.section("mail")
    if mail.transport != "smtp":
        raise NothingToAsk
    if installation.has_mistakes("mail"):
        yield note("The relay is not asked: [mail] has mistakes", "They are listed under config.",
                   "Correct them first.")
        return
    fix = ("docs/failures.md, Mail is not going out, explains the message. Then look at [mail] in "
           "config.ini.")
    why = "All mail waits, and the queues grow."
    if unknown := resolve(mail.host, mail.port):
        yield problem(f"[mail] host: {unknown}", why, fix)
        return
    found = probe(mail, time.monotonic() + SECONDS)
    if found.problem:
        yield problem(f"The relay did not accept the connection: {found.problem}", why, fix)
        return
    secured = f"by {found.tls}" if found.tls else "unencrypted"
    yield ok(f"{mail.host}:{mail.port} accepts the connection, {secured}"
             f"{', signed in' if mail.username else ''}")
    yield from _offers(found.offers)


def _offers(offers: dict):
    size = offers.get("size", "")
    if size.isdecimal() and 0 < int(size) < LEAST_SIZE:
        yield warning(f"The relay takes messages of {int(size) / 1000 ** 2:.1f} MB at most (SIZE)",
                      "A larger one that your hook took in fails for good, and its owner gets a "
                      "notice.",
                      "Let the mail hook refuse what is larger, or ask the relay's owner.")
    for name, lost in (("8bitmime", "a message with 8-bit characters is refused"),
                       ("smtputf8",
                        "an address with letters like \"ü\" before its @ cannot be written to")):
        if name not in offers:
            yield note(f"The relay does not offer {name.upper()}: {lost}",
                       "Few messages are of that kind.", "Another relay may accept them.")
    yield ok("the relay offers " + ", ".join(sorted(name.upper() for name in offers)) if offers else
             "the relay offers no extension")


def login(installation):
    """A relay on another machine that asks for no login is rare."""
    mail = installation.section("mail")
    if mail.transport == "smtp" and not mail.username and mail.host not in LOOPBACK:
        yield note(f"[mail] username is not set for {mail.host}",
                   "Most relays on another machine send nothing without a login.",
                   "If mail is refused with \"relay access denied\", set username and password.")


def limits(installation):
    """Our own limits against what hosts allow."""
    mail = installation.section("mail")
    if mail.transport != "smtp":
        raise NothingToAsk
    panel = panel_of_host()
    for known in RELAYS:
        if mail.host.lower().endswith(known.name) and _over(mail, known):
            yield warning(f"{known.words}, and [mail] per_day and per_minute do not stay below it",
                          "What is over the limit is refused, and the account may be blocked for a "
                          "day.", run("Stay below it:", "[mail]",
                                      f"per_day = {known.per_day * 8 // 10}",
                                      *([f"per_minute = {known.per_minute * 8 // 10}"]
                                        if known.per_minute else [])))
    if panel and mail.per_hour is None:
        yield warning(f"[mail] per_hour = off, and this host has {panel}",
                      f"{USUAL[panel]}, and discard the rest, sometimes after having taken it.",
                      f"Ask your host, and set 80 % of it ({LIMITS_PAGE}).")
    elif panel == "cPanel" and mail.per_hour > CPANEL_MOST:
        yield warning(f"[mail] per_hour = {mail.per_hour}",
                      f"{USUAL[panel]}; what is over the limit is discarded.",
                      f"Ask your host, and set 80 % of it ({LIMITS_PAGE}).")
    elif mail.per_hour is None:
        yield note("[mail] per_hour = off: nothing is counted by the hour",
                   "Most shared hosts discard what is over their limit.",
                   f"If yours has one, set 80 % of it ({LIMITS_PAGE}).")
    if panel == "cPanel" and mail.failures_per_hour is None:
        yield warning("[mail] failures_per_hour = off, and this host has cPanel",
                      "cPanel can block a domain once a number of its messages, often 5, has "
                      "failed within an hour.", run("Set it:", "[mail]", "failures_per_hour = "
                                                    f"{CPANEL_FAILURES}"))


def panel_of_host() -> str | None:
    """The control panel of this host, by the folders that it makes."""
    return next((panel.name for panel in PANELS
                 if any(os.path.isdir(os.path.expanduser(place)) for place in panel.places)), None)


def _over(mail, known: Relay) -> bool:
    return any(most and (getattr(mail, name) or most + 1) > most for name, most in
               (("per_day", known.per_day), ("per_minute", known.per_minute)))


def pause(installation):
    """Whether mail is paused at the moment."""
    row = installation.database().row("SELECT paused_until, reason, since FROM {relay_state} "
                                 "WHERE id = 1")
    until = row and clock.parse_any(row["paused_until"])
    if until and until > installation.now:
        yield warning(f"All mail is paused until {row['paused_until']} UTC, after failures since "
                      f"{row['since']}: {row['reason']}",
                      "The relay could not be used, or its own limit was reached.", "Fix what is "
                      "found here; sending resumes by itself (docs/failures.md, Mail is not going "
                      "out).")


CHECKS = (transport, relay, login, limits, pause)
