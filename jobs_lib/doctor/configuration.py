"""A thorough look at the whole configuration: what is wrong, and what is allowed but rarely
meant."""
from __future__ import annotations

import os
import stat
from datetime import timedelta

from jobs_lib.config import places, settings
from jobs_lib.config.loader import CONFIG_VARIABLE, Config, known_sections, variable_name
from jobs_lib.config.option_types import show_duration
from jobs_lib.errors import ConfigError, DatabaseError
from jobs_lib.text import did_you_mean

PREFIX = "JOBS_"
TLS_PORT, KNOWN_PORTS = 465, (25, 465, 587)
SHOWN = 5                # of the same mistake in many files
LOCAL = ("localhost", "localhost.localdomain")
LOOPBACK = (*LOCAL, "127.0.0.1", "::1")
SHORTEST_KEPT, LONGEST_KEPT = timedelta(days=1), timedelta(days=3660)


def problems(config: Config, jobs: list) -> list[str]:
    """Everything that is wrong, in every section and job."""
    try:
        config.check(jobs)
    except ConfigError as error:
        found = list(error.problems)
    else:
        found = []
    found += places.wrong(config)
    try:
        core = config.section("core")
    except ConfigError:
        return found                    # told already
    return found + _judge_database(core, config) + _judge_store(config) + _judge_status(config)


def _judge_database(core, config: Config) -> list[str]:
    """The URL as its dialect sees it, and whether it can do what is asked of it; nothing is
    connected."""
    from jobs_lib.database import dialects

    try:
        dialect = dialects.load(core.database)
        dialect.parse(core.database, config.folder, 1.0)
    except DatabaseError as error:
        return [str(error)]
    if core.lock != "file" and not dialect.named_locks:
        place = config.written("core", "lock", settings.SECTIONS["core"]["lock"]).place
        return [(f"[core] lock = {core.lock!r}: this database has no locks of that kind; expected "
                f"file ({place})")]
    return []


def _judge_store(config: Config) -> list[str]:
    """A folder for archives, or for exports, that is not their own."""
    from jobs_lib.features.exports import files
    from jobs_lib.ports.storage.base import misplaced

    try:
        troubles = (misplaced(config.section("archive").store, config.section),
                    files.misplaced(config.section))
    except ConfigError:
        return []                       # told already
    return [trouble for trouble in troubles if trouble]


def _judge_status(config: Config) -> list[str]:
    """A page, or metrics, that would replace something else."""
    from jobs_lib.monitoring.publish import refusal

    try:
        wanted = vars(config.section("status"))
    except ConfigError:
        return []                       # told already
    if wanted["page"] and wanted["page"] == wanted["metrics"]:
        return [f"[status] page and metrics are the same file ({wanted['page']}): name two"]
    return [f"[status] {what} = {path}: {why}" for what, path in wanted.items()
            if path and (why := refusal(config, what, path))]


def warnings(config: Config, jobs: list) -> list[str]:
    """What is allowed, and worth a thought."""
    found = []
    if not config.sources.found:
        found.append(f"there is no {config.path}: the defaults hold (copy config.ini.example to "
                     "it)")
    return [*found, *readable(config), *changeable(config), *_odd_values(config, jobs),
            *_strays(config), *_mail(config), *_database(config), *_domains(config, jobs),
            *_times(config, jobs), *_archive(config, jobs), *_open_store(config),
            *_no_folder(config)]


def readable(config: Config) -> list[str]:
    """Files that others can read although they hold secrets."""
    found = []
    for name, secrets in (("config.ini", _secrets(config, "file")),
                          ("env", _secrets(config, ".env"))):
        path = config.path if name == "config.ini" else os.path.join(config.folder, ".env")
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if secrets and mode & (stat.S_IRGRP | stat.S_IROTH):
            who = "everyone on this host" if mode & stat.S_IROTH else "your group"
            found.append(f"{path} holds secrets ({', '.join(secrets)}) and can be read by {who}: "
                         f"chmod 600 {path}")
    return found


def changeable(config: Config) -> list[str]:
    """Files and folders that others can change: what the jobs run, read and write."""
    from .writable import open_to_others, run_as

    found = [f"{each.path} {each.how}, so another user could make the jobs do anything: "
             f"{each.command or each.advice}" for each in open_to_others(config)
             if not each.passing]
    if owner := run_as(config):
        found.insert(0, f"this installation belongs to user {owner.name}, and this is root: run "
                     f"everything as {owner.name}: `{owner.command('config check')}`")
    return found[:SHOWN]


def _secrets(config: Config, origin: str) -> list[str]:
    """The options that hold a secret and are set by this source."""
    found = []
    for section, known in settings.SECTIONS.items():
        for name, option in known.items():
            written = config.written(section, name, option)
            if option.kind.mask and written.origin == origin and option.kind.mask(written.text) != written.text:
                found.append(f"[{section}] {name}")
    return found


def _odd_values(config: Config, jobs: list) -> list[str]:
    """Quotes and comments that have become a part of a value."""
    sections = {**settings.SECTIONS, **{job.name: settings.job_options(job) for job in jobs}}
    found = []
    for section, known in sections.items():
        for name, option in known.items():
            text, origin, place = config.written(section, name, option)
            if origin != "file":
                continue
            if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
                found.append(f"[{section}] {name} is in quotes, which are part of the value here "
                             f"({place})")
            elif (" #" in text or " ;" in text) and not option.kind.mask:
                found.append(f"[{section}] {name} holds what looks like a comment; one needs a "
                             f"line of its own ({place})")
    return found


def _strays(config: Config) -> list[str]:
    """JOBS_ variables of no section. (One of a section that has no such option is a problem.)"""
    starts = [variable_name(section, "") for section in known_sections()]
    found = []
    for variable in (*config.sources.environ, *config.sources.dotenv):
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE and not variable.startswith(tuple(starts)):
            known = [variable_name(section, name) for section, options in settings.SECTIONS.items()
                     for name in options]
            where = "environment" if variable in config.sources.environ else ".env"
            found.append(f"{variable} ({where}) sets no option{did_you_mean(variable, known)}")
    return found


def _database(config: Config) -> list[str]:
    """A server elsewhere that is not verified, or reads all in clear, since the URL says so."""
    from jobs_lib.database import dialects

    try:
        url = config.section("core").database
        target = dialects.load(url).parse(url, config.folder, 1.0)
    except (ConfigError, DatabaseError):
        return []
    host, tls = getattr(target, "host", ""), getattr(target, "tls", "verify")
    if tls not in ("off", "on") or target.socket or target.host in LOOPBACK:
        return []
    how = ("passwords and people's data cross the network in clear" if tls == "off" else
           "the server is not verified, so anyone in between can read along")
    return [(f"[core] database: ?tls={tls} to {host}: {how}; put ?ssl_ca=/path/to/ca.pem in its "
            "place")]


def _mail(config: Config) -> list[str]:
    """What a relay will hardly take."""
    try:
        mail, personas = config.section("mail"), config.section("personas")
    except ConfigError:
        return []
    if mail.transport != "smtp":
        return []
    found = []
    if mail.domain in LOCAL:
        found.append("[mail] domain = localhost: forwards leave with a sender that no other host "
                     "can reply to; set it to your service's domain")
    if not mail.from_:
        found.append("[mail] from is not set: our own notices need an address to come from")
    local = [name for name, value in vars(personas).items()
             if value.rpartition("@")[2].rstrip(">") in LOCAL]
    if local and mail.domain not in LOCAL:
        found.append(f"[personas] {', '.join(local)} at localhost: set addresses in your service's "
                     "domain")
    if mail.username and not mail.password:
        found.append("[mail] username is set, password is not")
    if (mail.port == TLS_PORT) != (mail.security == "tls") and mail.port in KNOWN_PORTS:
        expected = "tls" if mail.port == TLS_PORT else "starttls or none"
        found.append(f"[mail] port {mail.port} goes with security = {expected}, not "
                     f"{mail.security}")
    if mail.security == "none" and mail.host not in LOOPBACK:
        found.append(f"[mail] security = none: mail goes to {mail.host} in clear")
    return found


def _domains(config: Config, jobs: list) -> list[str]:
    """Records that domains have to have, while nobody said which."""
    from jobs_lib.features.domains.records import unset

    for job in jobs:
        if job.name == "check_domains":
            try:
                options, dns = config.job(job), config.section("dns")
            except ConfigError:
                return []
            if options.enabled and (missing := unset(options.require, dns)):
                return [f"{missing}: until then no domain is checked"]
    return []


def _times(config: Config, jobs: list) -> list[str]:
    """Runs too short for a message, or a request: none is begun so close to the end."""
    from jobs_lib.features.webhooks.deliveries import MARGIN
    from jobs_lib.ports.mail.message import MESSAGE_MINIMUM

    found = []
    for job in jobs:
        try:
            core, own = config.section("core"), config.job(job).budget
            what, item, least = (
                ("mail", "message", MESSAGE_MINIMUM) if "mail" in job.sections else
                ("webhooks", "request", config.section("webhooks").timeout.total_seconds() + MARGIN)
                if "webhooks" in job.sections else ("", "", 0))
        except ConfigError:
            continue
        for budget, whose, sends in ((own, f"[{job.name}] budget and [core] grace",
                                      "it sends nothing"),
                                     (core.budget, "[core] budget and grace",
                                      f"run-due sends no {what}")):
            longest = (budget + core.grace).total_seconds()
            if what and longest <= least:
                found.append(f"{whose} are {longest:.0f} seconds together: {sends}, since no "
                             f"{item} is begun with less than {least:g} left")
    return list(dict.fromkeys(found))


def odd_options(job, options) -> list[tuple[str, str, str]]:
    """(what, why it matters, how to mend it) of a job's options that are rarely meant so; none
    where it is off.

    Both day fields restricted: cron takes either of them. Kept for less than a day, or for more
    than ten years.
    """
    found = []
    schedule = options.schedule
    if options.enabled and schedule.either_day:
        day, _, weekday = schedule.text.split()[2:]
        what = (f"[{job.name}] schedule = {schedule.text}: day of month ({day}) and weekday "
                f"({weekday}) are both restricted, and as in cron either one is enough")
        found.append((what, ("So it comes on more days than it seems: on those of the month and on "
                      "those of the week"),
                      "Set one of the two to *. If you mean either, all is well."))
    for name in job.options:
        kept = getattr(options, name) if name.startswith("keep") else None
        if not isinstance(kept, timedelta) or not options.enabled or SHORTEST_KEPT <= kept <= LONGEST_KEPT:
            continue
        much, why = (("over ten years", "The table grows all that time") if kept > LONGEST_KEPT else
                     ("under a day", "What a purge has deleted is gone"))
        found.append((f"[{job.name}] {name} = {show_duration(kept)} is {much}", why,
                      f"Look whether that is meant. The default is {job.options[name].default}."))
    return found


def _no_folder(config: Config) -> list[str]:
    """A file of [status] that would never be written: its folder is not made for it."""
    try:
        wanted = config.section("status")
    except ConfigError:
        return []
    return [f"[status] {name} = {path}: there is no folder {os.path.dirname(path)}, so the file "
            "cannot be written" for name, path in vars(wanted).items() if path
            and not os.path.isdir(os.path.dirname(path))]


def _archive(config: Config, jobs: list) -> list[str]:
    """Audit rows that go for good."""
    for job in jobs:
        if "archive" not in job.sections or "keep" not in job.options:
            # an export reads it, and purges nothing
            continue
        try:
            options, store = config.job(job), config.section("archive").store
        except ConfigError:
            continue
        if options.enabled and options.keep and not store:
            kept = show_duration(options.keep)
            return [f"audit rows are deleted after {kept} without an archive: set [archive] store"]
    return []


def _open_store(config: Config) -> list[str]:
    """A folder with archives or exports that others can look into."""
    return _open_folder(config, "archive", "store", "archives") + open_exports(config)


def open_exports(config: Config) -> list[str]:
    """A folder with exports that others can look into; an empty one is made private by the first
    export."""
    return _open_folder(config, "export", "dir", "exports")


def _open_folder(config: Config, section: str, option: str, what: str) -> list[str]:
    try:
        path = getattr(config.section(section), option)
        mode = os.stat(path).st_mode
    except (ConfigError, OSError):      # none, one that is not there yet, a URL
        return []
    if not stat.S_ISDIR(mode) or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [(f"[{section}] {option}: others can read {path}, and {what} hold people's data: chmod "
            f"700 {path}")]
