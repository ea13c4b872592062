"""What a configuration may say and hardly ever means."""
from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import timedelta

from jobs_lib.config import settings
from jobs_lib.config.loader import CONFIG_VARIABLE, Config, known_sections, variable_name
from jobs_lib.config.option_types import show_duration
from jobs_lib.errors import ConfigError, DatabaseError
from jobs_lib.hostnames import LOCAL, LOOPBACK
from jobs_lib.output.findings import Finding, note, run, warning
from jobs_lib.paths import program
from jobs_lib.text import did_you_mean

TLS_PORT, KNOWN_PORTS = 465, (25, 465, 587)
SHORTEST_KEPT, LONGEST_KEPT = timedelta(days=1), timedelta(days=3660)


def rarely_meant(config: Config, jobs: list) -> list[Finding]:
    """One finding for each value; those of a section with a mistake are looked at once it is
    correct."""
    found: list[Finding] = []
    for check in (_no_file, _odd_values, _unknown_variables, _mail, _database, _open_archives,
                  _status_folders):
        with suppress(ConfigError, DatabaseError):
            found += check(config, jobs)
    for job in jobs:
        for check_job in (_required_records, _short_runs, _both_day_fields, _repeated_times,
                          _odd_retention, _no_archive):
            with suppress(ConfigError):
                found += check_job(config, job, config.job(job))
    return list(dict.fromkeys(found))


def _set(config: Config, option: str, value: str, words: str = "Set it, to yours:") -> str:
    """A fix that is one command."""
    return run(words, f"{program(config.path)} config set {option} {value}")


# The whole configuration

def _no_file(config: Config, _jobs):
    if config.sources.found:
        return
    set_otherwise = {*config.sources.environ, *config.sources.dotenv} - {CONFIG_VARIABLE}
    say = note if set_otherwise else warning
    yield say(f"There is no {config.path}: the defaults hold",
              "Most of all [mail] and [core] database have no default that fits you.",
              "`./install.sh` makes one and asks for what matters. Without a shell, copy "
              "config.ini.example to config.ini and look through it.")


def _odd_values(config: Config, jobs: list):
    """Quotes and comments that have become a part of a value."""
    own = [(job.name, name, option) for job in jobs
           for name, option in settings.job_options(job).items()]
    for section, name, option in (*settings.shared_options(), *own):
        text, origin, place = config.written(section, name, option)
        if origin != "file":
            continue
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
            yield warning(f"[{section}] {name} is in quotes", "They are part of the value here.",
                          f"Remove them ({place}).")
        elif (" #" in text or " ;" in text) and not option.kind.mask:
            yield warning(f"[{section}] {name} holds what looks like a comment",
                          "It is part of the value here.",
                          f"Put it on a line of its own ({place}).")


def _unknown_variables(config: Config, _jobs):
    """JOBS_ variables of no section. (One of a section that has no such option is a mistake.)"""
    starts = tuple(variable_name(section, "") for section in known_sections())
    known = [variable_name(section, name) for section, name, _ in settings.shared_options()]
    for variable in (*config.sources.environ, *config.sources.dotenv):
        if variable == CONFIG_VARIABLE:
            continue
        if not variable.startswith(starts):
            source = "environment" if variable in config.sources.environ else ".env"
            yield warning(f"{variable} ({source}) sets no option{did_you_mean(variable, known)}",
                          "Nothing reads it.", "Correct its name, or remove it.")


def _mail(config: Config, _jobs):
    """What a relay will hardly take."""
    mail, personas = config.section("mail"), config.section("personas")
    if mail.transport != "smtp":
        return
    if mail.domain in LOCAL:
        yield warning("[mail] domain = localhost",
                      "Forwards leave with a sender that no other host can reply to.",
                      _set(config, "mail.domain", "example.org"))
    if not mail.from_:
        yield warning("[mail] from is not set", "Our own notices need an address to come from.",
                      _set(config, "mail.from", "notices@example.org"))
    local = [name for name, value in vars(personas).items()
             if value.rpartition("@")[2].rstrip(">") in LOCAL]
    if local and mail.domain not in LOCAL:
        yield warning(f"[personas] {', '.join(local)} at localhost",
                      "Notices come from an address that nobody can reply to.",
                      _set(config, f"personas.{local[0]}",
                           f"'{local[0].title()} <{local[0]}@{mail.domain}>'"))
    if mail.username and not mail.password:
        yield warning("[mail] username is set, password is not",
                      "The relay will not accept the login.",
                      run("It is asked for, and not shown, by:",
                          f"{program(config.path)} config set mail.password"))
    if (mail.port == TLS_PORT) != (mail.security == "tls") and mail.port in KNOWN_PORTS:
        expected = "tls" if mail.port == TLS_PORT else "starttls or none"
        yield warning(f"[mail] port {mail.port} goes with security = {expected}, not "
                      f"{mail.security}", "The connection will most likely fail.",
                      _set(config, "mail.security", expected.partition(" ")[0],
                           "Set what your relay's operator names, such as:"))
    if mail.security == "none" and mail.host not in LOOPBACK:
        yield warning(f"[mail] security = none: mail goes to {mail.host} in clear",
                      "Anyone in between can read it, and the password.",
                      _set(config, "mail.security", "starttls"))


def _database(config: Config, _jobs):
    """A server elsewhere that is not verified, or reads all in clear, since the URL says so."""
    from jobs_lib.database import dialects

    url = config.section("core").database
    target = dialects.target(url, config.folder)
    host, tls = getattr(target, "host", ""), getattr(target, "tls", "verify")
    if tls not in ("off", "on") or target.socket or host in LOOPBACK:
        return
    yield warning(f"[core] database: ?tls={tls} to {host}",
                  "Passwords and people's data cross the network in clear." if tls == "off" else
                  "The server is not verified, so anyone in between can read along.",
                  "Put ?ssl_ca=/path/to/ca.pem in its place.")


def _open_archives(config: Config, _jobs):
    return open_folder(config, "archive", "store", "archives")


def open_folder(config: Config, section: str, option: str, holds: str) -> list[Finding]:
    """A warning when others can look into the folder that this option names; none for what is not
    a folder."""
    try:
        path = getattr(config.section(section), option)
        mode = os.stat(path).st_mode
    except (ConfigError, OSError):
        return []
    if not stat.S_ISDIR(mode) or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [warning(f"[{section}] {option}: others can read {path}",
                    f"{holds.capitalize()} hold people's data.",
                    run("Take it from them:", f"chmod 700 {path}"))]


def _status_folders(config: Config, _jobs):
    """A file of [status] that would never be written: its folder is not made for it."""
    for name, path in vars(config.section("status")).items():
        folder = os.path.dirname(path)
        if path and not os.path.isdir(folder):
            yield warning(f"[status] {name} = {path}: there is no folder {folder}",
                          "The file cannot be written.", "Make the folder, or name another.")


# Each job

def _required_records(config: Config, job, options):
    """Records that domains have to have, while nothing says which."""
    from jobs_lib.features.domains.records import unset

    if job.name != "check_domains" or not options.enabled:
        return
    if missing := unset(options.require, config.section("dns")):
        what, _, fix = missing.partition(": ")
        yield warning(what, "No domain is checked before that is set.",
                      f"{fix[:1].upper()}{fix[1:]}.")


def _short_runs(config: Config, job, options):
    """Runs too short for a message, or a request: none is begun so close to the end."""
    from jobs_lib.features.webhooks.deliveries import MARGIN
    from jobs_lib.ports.mail.message import MESSAGE_MINIMUM

    core = config.section("core")
    if "mail" in job.sections:
        subject, item, least = "mail", "message", MESSAGE_MINIMUM
    elif "webhooks" in job.sections:
        least = config.section("webhooks").timeout.total_seconds() + MARGIN
        subject, item = "webhooks", "request"
    else:
        return
    for budget, names, effect in (
            (options.budget, f"[{job.name}] budget and [core] grace", "it sends nothing"),
            (core.budget, "[core] budget and grace", f"run-due sends no {subject}")):
        longest = (budget + core.grace).total_seconds()
        if longest <= least:
            yield warning(f"{names} are {longest:.0f} seconds together: {effect}",
                          f"No {item} is begun with less than {least:g} seconds left.",
                          "Set a longer budget.")


def _both_day_fields(_config, job, options):
    """Cron takes either of them where both are restricted."""
    schedule = options.schedule
    if options.enabled and schedule.either_day:
        day, _, weekday = schedule.text.split()[2:]
        yield warning(f"[{job.name}] schedule = {schedule.text}: day of month ({day}) and weekday "
                      f"({weekday}) are both restricted, and as in cron either one is enough",
                      "So it comes on more days than it seems: on those of the month and on those "
                      "of the week.", "Set one of the two to *. If you mean either, all is well.")


def _repeated_times(_config, job, options):
    """A field such as `5,5`: something else may have been meant."""
    text = options.schedule.text
    for field in text.lower().split():
        times = field.split(",")
        for repeated in dict.fromkeys(time for time in times if times.count(time) > 1):
            yield warning(f"[{job.name}] schedule = {text}: {repeated} is listed twice",
                          "Perhaps one of them should be another.", "Correct it, or remove one.")


def _odd_retention(_config, job, options):
    """Kept for less than a day, or for more than ten years."""
    for name in job.options if options.enabled else ():
        kept = getattr(options, name) if name.startswith("keep") else None
        if not isinstance(kept, timedelta) or SHORTEST_KEPT <= kept <= LONGEST_KEPT:
            continue
        extent, why = (("over ten years", "The table grows all that time.")
                       if kept > LONGEST_KEPT else
                       ("under a day", "What a purge has deleted cannot be restored."))
        yield warning(f"[{job.name}] {name} = {show_duration(kept)} is {extent}", why,
                      "Check whether that is meant. The default is "
                      f"{job.options[name].default}.")


def _no_archive(config: Config, job, options):
    """Audit rows that are deleted for good. (An export reads the archive, and purges nothing.)"""
    if "archive" not in job.sections or "keep" not in job.options or not options.enabled:
        return
    if options.keep and not config.section("archive").store:
        yield warning(f"[{job.name}] keep = {show_duration(options.keep)}, and [archive] store is "
                      "empty: audit rows are deleted then, without an archive",
                      "They cannot be restored.",
                      _set(config, "archive.store", "var/archives", "Name a folder for them:"))
