"""The configuration: what is wrong, what is rarely meant, and what a host will not stand."""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib.config.option_types import show_duration
from jobs_lib.output.findings import note, ok, run, warning

from . import NothingToAsk, mistakes, rarely_meant

HOST_LIMIT = timedelta(minutes=5)        # after which many hosts kill a process


def values(installation):
    """All mistakes of all sections, and what is allowed and rarely meant."""
    config, jobs = installation.config, installation.jobs
    if config is None:
        raise NothingToAsk
    wrong = mistakes.mistakes(config, jobs)
    yield from wrong
    yield from rarely_meant.rarely_meant(config, jobs)
    if not wrong:
        yield ok(f"{config.path} can be read" if config.sources.found else "the defaults hold")


def times(installation):
    """A run that is longer than hosts allow."""
    core = installation.section("core")
    longer = [("core", core.budget), *((job.name, options.budget) for job in installation.jobs
                                       if (options := installation.job(job)).enabled)]
    longer = [(name, budget) for name, budget in longer if budget + core.grace > HOST_LIMIT]
    if longer:
        names = ", ".join(f"[{name}] budget = {show_duration(budget)}" for name, budget in longer)
        yield warning(f"{names}: with [core] grace = {show_duration(core.grace)} that is over 5 "
                      "minutes", "Many hosts kill a process after 5 minutes. Nothing is lost by "
                      "it, but what was in hand is done again.",
                      "If yours is one of them, stay a minute under its limit: [core] budget = 4m.")


def identity(installation):
    """What has to be kept with a backup, and where links lead."""
    core = installation.section("core")
    if not core.secret_key:
        yield note("[core] secret_key is not set, so it is kept in "
                   f"{os.path.join(core.state_dir, 'secret')}",
                   "Senders of forwards and links in mails are signed by it.",
                   "Include that file in your backups, and take it with you when you move to "
                   "another host.")
    if not core.app_url:
        yield note("[core] app_url is not set", "Mails to users cannot lead to a page of your app.",
                   run("Set it:", "[core]", "app_url = https://mail.example.org"))


def alerts(installation):
    """Who is alerted when something stops working. An alert that only logs is none."""
    if installation.has_mistakes("alerts"):
        raise NothingToAsk
    section = installation.section("alerts")
    if not (section.email or section.webhook):
        yield warning("[alerts] email and webhook are not set: nobody is alerted when a job fails "
                      "or mail is stuck", "Nobody reads logs, and cron's mail is easily lost.",
                      run("Set one of them:", "[alerts]", "email = you@example.org"))
    if not section.ping_url:
        yield note("[alerts] ping_url is not set",
                   "Only something outside can notice that cron itself has stopped.",
                   "Let a service such as Healthchecks expect a ping from each `run-due`.")


CHECKS = (values, times, identity, alerts)
