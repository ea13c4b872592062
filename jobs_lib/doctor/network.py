"""What the jobs talk to: the relay, name servers, the workers' broker. Nothing is sent, and nothing
is put into a queue."""
from __future__ import annotations

import os
import time

from jobs_lib.errors import JobsError
from jobs_lib.features.domains.records import unset
from jobs_lib.output.findings import note, problem, run, warning
from jobs_lib.ports.mail.smtp import probe
from jobs_lib.ports.outcomes import NXDOMAIN, UNKNOWN
from jobs_lib.workers import dispatch

from . import Reported

RELAY_SECONDS, DNS_SECONDS = 5.0, 1.5
CPANEL = ("/usr/local/cpanel", "~/.cpanel")     # folders that it makes


def relay(installation):
    """The relay accepts the connection, with the TLS and the login that [mail] has."""
    mail = installation.section("mail")
    if mail.transport != "smtp":
        yield note(f"[mail] transport = maildir: mail is not sent, but written into {mail.maildir}",
                   "That is for trials.",
                   "Set transport = smtp, and the relay.")
        return
    # it ends before a message begins
    if wrong := probe(mail, time.monotonic() + RELAY_SECONDS):
        yield problem(f"The relay did not accept the connection: {wrong}",
                      "All mail waits, and the queues grow.",
                      "Check [mail] in config.ini. "
                      "docs/failures.md, Mail is not going out, explains the message. "
                      "`jobs.py mail test ADDRESS` shows each step.")


def limits(installation):
    """Mail has limits of our own, below the host's."""
    mail = installation.section("mail")
    if mail.transport != "smtp":
        raise Reported
    has_cpanel = any(os.path.isdir(os.path.expanduser(path)) for path in CPANEL)
    if mail.per_hour is None and mail.per_day is None:
        say = warning if has_cpanel else note
        yield say("[mail] per_hour and per_day are off",
                  "Most shared hosts discard what is over their limit, "
                  "sometimes after accepting it.",
                  "Ask your host, and set 80 % of it (docs/mail.md, How many an hour).")
    if has_cpanel and mail.failures_per_hour is None:
        yield warning("[mail] failures_per_hour = off, and this host has cPanel",
                      "cPanel can block a domain once a number of its messages, often 5, has "
                      "failed within an hour.",
                      run("Set it:", "[mail]", "failures_per_hour = 4"))


def name_servers(installation):
    """A name server answers, and knows the mail servers that users' domains have to name."""
    section = installation.section("dns")
    options = installation.config.job_named("check_domains")
    is_used = section.mx_hosts or installation.database().query(
        "SELECT id FROM {domains} LIMIT 1")
    if not (is_used and options.enabled):
        raise Reported
    if missing := unset(options.require, section):
        yield warning(missing, "No domain is checked until then.")
        return
    try:
        from jobs_lib.ports.resolver import Resolver
        resolver = Resolver(section.nameservers, DNS_SECONDS)
    except JobsError as error:               # no dnspython
        yield problem(str(error), "Users' domains are not checked.")
        return
    name = section.mx_hosts[0] if section.mx_hosts else "."
    answer = resolver.look_up(name, "MX")
    if answer.outcome == UNKNOWN:
        yield problem(f"No name server answers for {name} "
                      f"(asked: {', '.join(resolver.servers) or 'none'}): {answer.why}",
                      "Users' domains keep their status, whatever is set up.",
                      "Set [dns] nameservers to those of your host.")
    elif answer.outcome == NXDOMAIN and name != ".":
        yield warning(f"DNS does not know {name}",
                      "Users are asked to make it their mail server.",
                      "Correct [dns] mx_hosts, or add the name.")


def broker(installation):
    """The broker of each engine that a job is run by takes messages."""
    config = installation.config
    for mode in dispatch.engines(config, installation.jobs):
        try:
            dispatch.engine(mode).enqueue(config, [], True)
        except JobsError as error:
            yield problem(f"The workers' broker cannot be used: {error}",
                          "Jobs of that mode wait, or `run-due` runs them itself.",
                          "Start it, or correct [worker]. Or do without: mode = cron, in "
                          "[core] or the section that has it.")


CHECKS = (relay, limits, name_servers, broker)
