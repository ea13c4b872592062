"""Alerts by a path that does not need what is missing: no database, no lock, no room on the disk.

Files in `state_dir` remember since when it lasts and that it was told (runner/standing.py); e-mail
and webhook go out from here, without a row, a queue or a count. When all is back, check_jobs tells
how long it was, or that cron had stopped.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta
from functools import partial

from jobs_lib import clock, schedule
from jobs_lib.errors import Busy, ConfigError, DatabaseError, ReadOnly, Unfit
from jobs_lib.paths import program
from jobs_lib.runner import standing

from . import alert_messages, incidents
from .alert_channels import attempt, configured, send_email, send_webhook

SECONDS = 20.0
DAY = timedelta(days=1)
# so long another writer may hold the database before that is an incident
PATIENCE = timedelta(minutes=15)
Met = namedtuple("Met", "say early")
Met.__doc__ = "`say`: cron is to print it now; `early`: it is no incident yet."
BACK = {standing.DATABASE: ("no job could use the database", "The database can be used again"),
        standing.UNWRITABLE: ("no job could write to the database",
                              "The database can be written to again"),
        standing.FILES: ("no job could be started",
                         "The files and folders of the jobs can be used again"),
        standing.WORKERS: ("jobs could not be handed to the workers",
                           "Jobs can be handed to the workers again"),
        standing.LOCKS: ("an unknown connection held a database lock",
                         "All jobs can be started again"),
        standing.LOG: ("the log could not be written", "The log can be written again")}
BY_FILE = standing.BARS_ALL             # the others are told by check_jobs itself


def of_error(error, reads: bool) -> str:
    """Which incident a DatabaseError is. `reads`: the database answered before."""
    return standing.UNWRITABLE if isinstance(error, (Busy, ReadOnly)) or (
        reads and not isinstance(error, Unfit)) else standing.DATABASE


def reads(ports) -> bool:
    """Whether the database answers, asked after something in it went wrong."""
    from jobs_lib.database.schema import version
    try:
        db = ports.connect()
        try:
            version.check(db)
        finally:
            db.close()
    except DatabaseError:
        return False
    return True


def met(config, ports, name: str, error, alert: bool = True) -> Met:
    """Remember the incident, and alert: at once, then once each `[alerts] remind`. Never raises.

    That another writer holds the database is none before it has lasted for PATIENCE.
    """
    try:
        core, now = config.section("core"), ports.now()
    except ConfigError:                     # that is what is said
        return Met(True, False)
    incident, words = standing.Incident(core, name), incidents.words(str(error))
    since = incident.begin(now, words)
    early = isinstance(error, Busy) and now - since < PATIENCE
    try:
        alerts = config.section("alerts")
    except ConfigError:                     # told by the line that cron mails
        alerts = None
    remind = alerts.remind if alerts else DAY
    if alert and alerts and not early:
        _alert(config, ports, incident, incidents.standing(name, error, since), alerts, now)
    say = not early and incident.due(standing.SAID, now, remind)
    if say:
        incident.note(standing.SAID, now)
    return Met(say, early)


def _alert(config, ports, incident, trouble, alerts, now) -> None:
    if not incident.due(standing.TOLD, now, alerts.remind):
        return
    if not incident.remembered and now.minute * timedelta(minutes=1) >= standing.FRESH:
        # nothing can be noted anywhere: part of each hour has to do
        return
    try:
        zone = schedule.zone(config.section("core").timezone)
        alert = alert_messages.urgent(trouble, alerts.remind, zone, program(config.path))
        sent = [attempt(partial(_send, channel, alert, config, ports, now))
                for channel in configured(alerts)]
        if "" in sent:
            incident.note(standing.TOLD, now)
    except (ConfigError, OSError):
        # what is wrong with these is told by the line that cron mails
        pass


def _send(channel: str, alert, config, ports, now) -> str:
    alerts = config.section("alerts")
    if channel == "webhook":
        from jobs_lib.ports.http.message import trusted
        return send_webhook(alert, alerts,
                            ports.http(trusted(config.section("webhooks"), alerts.timeout)))
    mail = config.section("mail")
    transport = ports.mail(mail)
    try:
        return send_email(alert, alerts, mail, transport, ports.monotonic() + SECONDS, now)
    finally:
        transport.close()


def over(config, ports, name: str) -> str:
    """End the incident. What cron is to print of that, or "": only of one that was printed
    before."""
    core = config.section("core")
    incident = standing.Incident(core, name)
    since, said = incident.since(), incident.since("." + standing.SAID)
    incident.end(keep=name in BY_FILE and (name == standing.DATABASE or said is not None))
    if since is None or said is None:
        return ""
    lasted = incidents.from_to(since, max(since, ports.now()), schedule.zone(core.timezone))
    subject, again = BACK.get(name, ("something failed", "It works again"))
    return f"{again}: {subject} {lasted}"


def returned(core, health) -> list:
    """What is over, and is told of once: the time without a database, or else the time without
    cron.

    check_jobs asks: that it runs shows that the database can be written.
    """
    gap, zone, found = health.host.gap, health.zone, []
    if gap:
        found.append(_past("gap", gap, zone, "no job was started", "Cron or the host had stopped",
                           ""))
    for name in BY_FILE:
        incident = standing.Incident(core, name)
        since = incident.since("." + standing.OVER)
        if since is None and (name == standing.DATABASE or (
                name == standing.UNWRITABLE and incident.since("." + standing.SAID))):
            since = incident.since()
        if since:
            away = _past("away", (since, health.now), zone, BACK[name][0], BACK[name][1],
                         incident.error())
            if gap and gap[0] <= since <= gap[1]:
                # one cause, one alert: the next run finds the gap told
                away = away._replace(key=f"gap:{clock.text(gap[0])}")
                found = [each for each in found if each.key != away.key]
            found.append(away)
    return found


def forget(core) -> None:
    """The row that tells of it is stored: the files may go."""
    for name in BY_FILE:
        incident = standing.Incident(core, name)
        incident.recorded()
        if name != standing.FILES:
            # whether those can be used again, another look has to tell
            incident.end()


def _past(kind: str, span: tuple, zone, subject: str, why: str, error: str):
    begin, end = span
    return incidents.Trouble(f"{kind}:{clock.text(begin)}", kind,
                             f"{subject} {incidents.from_to(begin, end, zone)}",
                            begin, f"{why}. Jobs that were missed run now, once each.",
                            incidents.words(error), "history")
