"""DNS, where users' domains are checked: name servers answer, and what we ask domains to have makes
sense."""
from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from jobs_lib.errors import JobsError
from jobs_lib.features.domains.records import unset
from jobs_lib.hostnames import LOCAL
from jobs_lib.output.findings import ok, problem, run, warning
from jobs_lib.ports.dns import NXDOMAIN, UNKNOWN

from . import NothingToAsk

SECONDS = 3


def name_servers(installation):
    """They answer, and know the mail servers that domains have to name."""
    section, mail = _section(installation), installation.section("mail")
    names = [*section.mx_hosts[:1], *([mail.domain] if mail.domain not in LOCAL else [])]
    try:
        from jobs_lib.ports.resolver import open_resolver
        resolver = open_resolver(SimpleNamespace(**{**vars(section),
                                                    "timeout": timedelta(seconds=SECONDS / 2)}))
    except JobsError as error:
        # no dnspython, which doctor/host.py has reported, but not how bad it is
        known = installation.is_set("dns")
        if not known and installation.database().row("SELECT id FROM {domains} LIMIT 1"):
            yield problem(f"Users have domains of their own: {error}", "None of them is looked at.",
                          "Install it (without a shell: docs/install.md, The bundle).")
        return
    if not resolver.nameservers:
        yield problem("No name server is known here",
                      "Users' domains stay as they are, whatever they set up.",
                      run("Name one:", "[dns]", "nameservers = 192.0.2.53"))
        return
    for name in names or ["."]:
        answer = resolver.look_up(name, "MX")
        if answer.outcome == UNKNOWN:
            yield problem(f"No name server answers for {name}: {answer.why}",
                          "Users' domains stay as they are, whatever they set up.",
                          "Set [dns] nameservers to those of your host; some hosts let you ask no "
                          "others.")
            return
        if answer.outcome == NXDOMAIN and name != ".":
            yield warning(f"DNS has no name {name}", "Domains are asked to have it as their mail "
                          "server, or forwards leave with it as their sender.",
                          "Correct [dns] mx_hosts or [mail] domain, or add the name.")
    yield ok("a name server answers")


def what_is_checked(installation):
    """Which records a domain needs."""
    section = _section(installation)
    job = next(job for job in installation.jobs if job.name == "check_domains")
    if unset(installation.job(job).require, section):
        return                          # doctor/config.py asks for it, once
    if not (section.mx_hosts or section.spf_include or section.dkim_target or section.dkim_key):
        yield warning("[dns] mx_hosts, spf_include and dkim_target are not set: only the owner of "
                      "a domain is checked",
                      "A domain counts as verified although no mail can reach it.",
                      "Set what your users have to put into DNS (docs/domains.md).")


def _section(installation):
    if not installation.enabled("check_domains"):
        raise NothingToAsk
    return installation.section("dns")


CHECKS = (name_servers, what_is_checked)
