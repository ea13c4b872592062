"""The configuration: what is wrong, what is rarely meant, and what a host will not stand."""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib.config import settings
from jobs_lib.config.loader import CONFIG_VARIABLE
from jobs_lib.config.option_types import show_duration
from jobs_lib.output.findings import note, ok, problem, run, warning

from . import NothingToAsk, configuration

HOSTS_PATIENCE = timedelta(minutes=5)    # after which many hosts kill a process
SWEPT = {"[spool] dir", "[export] dir"}  # what no row names is removed from these


def mistakes(patient):
    """All problems of all sections, and what is allowed and rarely meant."""
    config = patient.config
    if config is None:
        raise NothingToAsk
    wrong = configuration.problems(config, patient.jobs)
    told = [*configuration.readable(config), *configuration.open_exports(config),
            # doctor/files.py tells of them
            *configuration.changeable(config)]
    for words in wrong:
        yield problem(words, "What needs this section does not run.",
                      f"Correct it in {config.path}; `jobs.py config check` looks at all of it "
                      "again.")
    for words in configuration.warnings(config, patient.jobs):
        if not config.sources.found and config.path in words:
            say = note if _set_otherwise(config) else warning
            yield say(words,
                      "Most of all [mail] and [core] database have no default that fits you.",
                      "Copy config.ini.example to config.ini and look through it.")
        elif words not in told:
            what, _, why = words.partition(": ")
            yield warning(what, why or "it is allowed, and rarely meant",
                          f"Look at it in {config.path}.")
    if not wrong:
        yield ok(f"{config.path} can be read" if config.sources.found else "the defaults hold")


def _set_otherwise(config) -> bool:
    """Whether .env or the environment sets something: then a config.ini is not missed."""
    return any(name.startswith(configuration.PREFIX) and name != CONFIG_VARIABLE
               for name in (*config.sources.environ, *config.sources.dotenv))


def odd_jobs(patient):
    """What a job's section says and is rarely meant: the same that `config check` tells of."""
    for job in patient.jobs:
        for what, why, mend in configuration.odd_options(job, patient.job(job)):
            yield warning(what, why, mend)


def times(patient):
    """A run that is longer than hosts allow."""
    core = patient.section("core")
    longer = [("core", core.budget), *((job.name, options.budget) for job in patient.jobs
                                       if (options := patient.job(job)).enabled)]
    longer = [(name, budget) for name, budget in longer if budget + core.grace > HOSTS_PATIENCE]
    if longer:
        names = ", ".join(f"[{name}] budget = {show_duration(budget)}" for name, budget in longer)
        yield warning(f"{names}: with [core] grace = {show_duration(core.grace)} that is over 5 "
                      "minutes", "Many hosts kill a process after 5 minutes. Nothing is lost by "
                      "it, but what was in hand is done again.",
                      "If yours is one of them, stay a minute under its limit: [core] budget = 4m.")


def identity(patient):
    """What has to be kept with a backup, and where links lead."""
    core = patient.section("core")
    if not core.secret_key:
        yield note("[core] secret_key is not set, so it is kept in "
                   f"{os.path.join(core.state_dir, 'secret')}",
                   "Senders of forwards and links in mails are signed by it.",
                   "Include that file in your backups, and take it with you when you move to "
                   "another host.")
    if not core.app_url:
        yield note("[core] app_url is not set", "Mails to users cannot lead to a page of your app.",
                   run("Set it:", "[core]", "app_url = https://mail.example.org"))


def alerts(patient):
    """Who is alerted when something stops working. An alert that only logs is none."""
    section = patient.section("alerts")
    if not (section.email or section.webhook):
        yield warning("[alerts] email and webhook are not set: nobody is alerted when a job fails "
                      "or mail is stuck", "Nobody reads logs, and cron's mail is easily lost.",
                      run("Set one of them:", "[alerts]", "email = you@example.org"))
    if not section.ping_url:
        yield note("[alerts] ping_url is not set",
                   "Only something outside can notice that cron itself has stopped.",
                   "Let a service such as Healthchecks expect a ping from each `run-due`.")


def folders(patient):
    """Folders that may not be one: what is swept from the one would be missing in the other."""
    places = {"[core] state_dir": patient.section("core").state_dir,
              "[core] log_dir": patient.section("core").log_dir,
              "[spool] dir": patient.section("spool").dir}
    if "export" in settings.SECTIONS:
        places["[export] dir"] = patient.section("export").dir
    names = list(places)
    for at, one in enumerate(names):
        for other in names[at + 1:]:
            if not SWEPT & {one, other}:
                continue
            first, second = os.path.realpath(places[one]), os.path.realpath(places[other])
            if first == second or os.path.commonpath([first, second]) in (first, second):
                how = "are the same folder" if first == second else "are one inside the other"
                yield problem(f"{one} and {other} {how} ({places[one]}, {places[other]})",
                              "Files that no row names are removed from the one, and may belong to "
                              "the other.", "Give each a folder of its own.")


CHECKS = (mistakes, odd_jobs, times, identity, alerts, folders)
