"""Alerts by a path that does not need what is missing: no database, no lock, no room on the disk.

Files in `state_dir` remember since when the incident lasts and that you were notified
(runner/standing.py); e-mail and webhook are sent from here, without a row, a queue or a count. When
it is over, check_jobs reports how long it lasted, or that cron had stopped.
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

SECONDS = 20.0                          # for one channel
DAY = timedelta(days=1)
# another writer that holds the database for longer is an incident
PATIENCE = timedelta(minutes=15)
Met = namedtuple("Met", "say early")
Met.__doc__ = "`say`: cron is to print it now; `early`: it is not an incident yet."
# {name: (what was impossible, what is possible again)}
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
BY_FILE = standing.BARS_ALL             # check_jobs itself reports the others


def of_error(error, reads: bool) -> str:
    """Which incident a DatabaseError is. `reads`: the database answered before."""
    only_reads = isinstance(error, (Busy, ReadOnly)) or (reads and not isinstance(error, Unfit))
    return standing.UNWRITABLE if only_reads else standing.DATABASE


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
    """Remember the incident, and alert immediately, then once each `[alerts] remind`. Never raises.

    Another writer that holds the database is an incident only after PATIENCE.
    """
    try:
        core, now = config.section("core"), ports.now()
    except ConfigError:                     # the error that cron mails is this one
        return Met(True, False)
    incident = standing.Incident(core, name)
    since = incident.begin(now, incidents.short_error(str(error)))
    early = isinstance(error, Busy) and now - since < PATIENCE
    try:
        alerts = config.section("alerts")
    except ConfigError:                     # in the line that cron mails
        alerts = None
    remind = alerts.remind if alerts else DAY
    if alert and alerts and not early:
        _alert(config, ports, incident, incidents.standing(name, error, since), alerts, now)
    say = not early and incident.due(standing.SAID, now, remind)
    if say:
        incident.note(standing.SAID, now)
    return Met(say, early)


def _alert(config, ports, incident, shown, alerts, now) -> None:
    """`incident` is what the file remembers, `shown` what the alert says."""
    if not incident.due(standing.TOLD, now, alerts.remind):
        return
    if not incident.remembered and now.minute * timedelta(minutes=1) >= standing.FRESH:
        # nothing can be noted anywhere: alert in a part of each hour only
        return
    try:
        zone = schedule.zone(config.section("core").timezone)
        alert = alert_messages.urgent(shown, alerts.remind, zone, program(config.path))
        sent = [attempt(partial(_send, channel, alert, config, ports, now))
                for channel in configured(alerts)]
        if "" in sent:
            incident.note(standing.TOLD, now)
    except (ConfigError, OSError):
        # what is wrong with these is in the line that cron mails
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
    """End the incident. What cron is to print about that, or "" if cron never printed that it
    began."""
    core = config.section("core")
    incident = standing.Incident(core, name)
    since, said = incident.since(), incident.since("." + standing.SAID)
    incident.end(keep=name in BY_FILE and (name == standing.DATABASE or said is not None))
    if since is None or said is None:
        return ""
    lasted = incidents.time_span(since, max(since, ports.now()), schedule.zone(core.timezone))
    subject, again = BACK.get(name, ("something failed", "It works again"))
    return f"{again}: {subject} {lasted}"


def returned(core, health) -> list:
    """The incidents that are over and are reported once: the time without a database, or else the
    time without cron.

    Asked by check_jobs, whose run shows that the database can be written.
    """
    gap, zone, found = health.host.gap, health.zone, []
    if gap:
        found.append(_past("gap", gap, zone, "no job was started", "Cron or the host had stopped"))
    for name in BY_FILE:
        incident = standing.Incident(core, name)
        since = _ended(incident)
        if since:
            away = _past("away", (since, health.now), zone, *BACK[name], incident.error())
            if gap and gap[0] <= since <= gap[1]:
                # one cause, one alert: the next run finds that the gap was reported
                away = away._replace(alert_key=f"gap:{clock.text(gap[0])}")
                found = [each for each in found if each.alert_key != away.alert_key]
            found.append(away)
    return found


def _ended(incident):
    """When an incident began that is over now and was worth an alert, or None."""
    worth = incident.name == standing.DATABASE or (
        incident.name == standing.UNWRITABLE and incident.since("." + standing.SAID))
    return incident.since("." + standing.OVER) or (incident.since() if worth else None)


def forget(core) -> None:
    """Remove the files: what they remember is stored in `alerts` now."""
    for name in BY_FILE:
        incident = standing.Incident(core, name)
        incident.recorded()
        if name != standing.FILES:
            # another look decides whether those can be used again
            incident.end()


def _past(kind: str, span: tuple, zone, subject: str, why: str, error: str = ""):
    begin, end = span
    return incidents.Incident(f"{kind}:{clock.text(begin)}", kind,
                              f"{subject} {incidents.time_span(begin, end, zone)}", begin,
                              f"{why}. Jobs that were missed run now, once each.",
                              incidents.short_error(error), "history")
