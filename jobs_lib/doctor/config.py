"""The configuration: what is wrong in it, and what it may say and hardly ever means."""
from __future__ import annotations

from contextlib import suppress

from jobs_lib.config import QUOTES, Config, problems_of, settings, variable_name
from jobs_lib.database import dialects
from jobs_lib.database.connection import dialect_of
from jobs_lib.errors import ConfigError, DatabaseError
from jobs_lib.output.findings import Finding, note, problem, run, warning
from jobs_lib.text import did_you_mean, setting

LOCAL = ("localhost", "localhost.localdomain")
LOOPBACK = (*LOCAL, "127.0.0.1", "::1")
VARIABLE = "Correct that variable, or remove it, where the jobs are started."
TLS_PORT, KNOWN_PORTS = 465, (25, 465, 587)


def values(installation):
    """No section has a mistake, or what is allowed and rarely meant."""
    yield from mistakes(installation.config, installation.jobs)
    yield from rarely_meant(installation.config, installation.jobs)


def pings(installation):
    """Something outside expects cron."""
    if not installation.section("alerts").ping_url:
        yield note("[alerts] ping_url is not set",
                   "Only something outside can notice that cron itself has stopped.",
                   "Let a service such as Healthchecks expect a ping from each `run-due`.")


# What keeps something from running

def mistakes(config: Config, jobs: list) -> list[Finding]:
    """One finding for each mistake, in every section and job."""
    found = [*problems_of(config.check, jobs)]
    with suppress(ConfigError):  # a section that cannot be read: reported above
        found += _wrong_database(config)
    return [problem(text, "Jobs that use it do not run; without [core], none runs.",
                    VARIABLE if "environment variable " in text else
                    "Correct it: config.ini.example explains each option."
                    if text.endswith(")") else "")  # its place
            for text in found]


def _wrong_database(config: Config):
    """Whether its driver is installed, and has such locks; nothing is connected."""
    core = config.section("core")
    try:
        has_locks = dialect_of(dialects.parse(core.database)).named_locks
    except DatabaseError as error:
        yield str(error)
        return
    if core.lock != "file" and not has_locks:
        place = config.written("core", "lock", settings.SECTIONS["core"]["lock"]).place
        yield (f"[core] lock = {core.lock!r}: this database has no locks of that kind; expected "
               f"file ({place})")


# What is rarely meant

def rarely_meant(config: Config, jobs: list) -> list[Finding]:
    """One finding for each value in the sections without a mistake."""
    found: list[Finding] = []
    for check in (_no_file, _unknown_variables, _quoted, _mail, _no_app, _nobody):
        with suppress(ConfigError, DatabaseError):
            found += check(config)
    for job in jobs:
        for check_job in CHECKS_OF_JOBS:
            with suppress(ConfigError):
                found += check_job(config, job, config.job(job))
    return found


def _set(section: str, line: str) -> str:
    """A fix that is one line, for those who have no shell, too."""
    return run("Set it in config.ini, for example:", f"[{section}]", line)


def _no_file(config: Config):
    """All is as it is by default: it may be there by another name."""
    if not config.found:
        yield warning(f"There is no {config.path}: the defaults apply, except for the environment",
                      "[mail] and [core] database have no usable default.",
                      "Rename yours to that, or config.ini.short of a bundle; else run "
                      "`./install.sh`.")


def _unknown_variables(config: Config):
    """JOBS_ variables of no section. (One of a section that has no such option is a mistake.)"""
    known = [variable_name(section, name) for section, name, _ in settings.SHARED]
    for variable in config.strays():
        yield warning(f"{variable} sets no option{did_you_mean(variable, known)}",
                      "Nothing reads it.", "Correct its name, or remove it.")


def _quoted(config: Config):
    """Values as other programs' files have them."""
    for section, name, option in settings.SHARED:
        text, _, place = config.written(section, name, option)
        if text[1:] and text[0] == text[-1] and text[0] in "\"'":
            with suppress(ConfigError):  # which says the same
                config.value(section, name, option)
                yield warning(f"[{section}] {name}: {QUOTES} ({place})",
                              "Values need none here.")


def _mail(config: Config):
    """What a relay will hardly take."""
    mail = config.section("mail")
    fitting = "tls" if mail.port == TLS_PORT else "starttls"
    is_odd = mail.port in KNOWN_PORTS and (mail.security == "tls") != (fitting == "tls")
    is_in_clear = mail.security == "none" and mail.host not in LOOPBACK and not is_odd
    for applies, what, why, option, value in (
            (mail.domain in LOCAL,
             "[mail] domain = localhost",
             "Forwards get a sender that no other host can reply to.",
             "domain", "example.org"),
            (not mail.from_,
             "[mail] from is not set",
             "Notices need an address to come from.",
             "from", "notices@example.org"),
            (is_odd,
             f"[mail] port {mail.port} needs security = {fitting}, not {mail.security}",
             "The connection will most likely fail.",
             "security", fitting),
            (is_in_clear,
             f"[mail] security = none: mail goes to {mail.host} unencrypted",
             "Anyone in between can read it, and the password.",
             "security", "starttls")):
        if applies and mail.transport == "smtp":
            yield warning(what, why, _set("mail", f"{option} = {value}"))


def _no_app(config: Config):
    """Links in mails lead nowhere."""
    if not config.section("core").app_url:
        yield warning("[core] app_url is not set",
                      "Mail to users cannot link to your app, "
                      "and exports wait unless [export] url is set.",
                      _set("core", "app_url = https://www.example.org"))


def _nobody(config: Config):
    """Nobody is alerted."""
    alerts = config.section("alerts")
    if not (alerts.email or alerts.webhook):
        yield warning("[alerts] email and webhook are not set: "
                      "nobody is alerted when a job fails or mail is stuck",
                      "Nobody reads logs, and cron's mail is easily lost.",
                      _set("alerts", "email = you@example.org"))


# Each job

def _no_alerts(_config, job, options):
    """Nobody looks."""
    if job.name == "check_jobs" and not options.enabled:
        yield warning("[check_jobs] enabled = no: nobody is alerted",
                      "It looks for what is wrong, and sends the alerts.",
                      _set("check_jobs", "enabled = yes"))


def _both_day_fields(_config, job, options):
    """Cron takes either of them where both are restricted."""
    if options.enabled and options.schedule.either_day:
        yield warning(f"[{job.name}] schedule = {options.schedule.text}: day of month and weekday "
                      "are both restricted, and as in cron either one is enough",
                      "So it runs on more days than it seems.",
                      "Set one of the two to *. If you mean either, all is well.")


def _no_archive(config: Config, job, options):
    """Audit rows that are deleted for good. (An export reads the archive, and purges nothing.)"""
    is_purge = "archive" in job.sections and "keep" in job.options
    if is_purge and options.enabled and options.keep and not config.section("archive").store:
        yield warning(f"[{job.name}] keep = {setting(options.keep)}, and [archive] store is "
                      "empty: audit rows are then deleted without an archive",
                      "They cannot be restored.",
                      _set("archive", "store = var/archives"))


CHECKS_OF_JOBS = (_no_alerts, _both_day_fields, _no_archive)
CHECKS = (values, pings)
