"""Alerts without a database: a file in `state_dir` remembers since when it is away, and that somebody was told.

And what is told when all is back: how long the database was away, or that cron had stopped.
"""
from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import partial

from .. import clock, folders, schedule, troubles
from ..errors import ConfigError, DatabaseError
from ..place import program
from . import alert_words
from .alert_channels import attempt, configured, send_email, send_webhook

FILE = "database-away.json"
SECONDS = 20.0


def tell(config, ports, error: DatabaseError) -> None:
    """Tell of a database that cannot be used: at once, and then once each `[alerts] remind`. Never raises."""
    try:
        core, alerts = config.section("core"), config.section("alerts")
        known, now = _read(core.state_dir), ports.now()
        since = clock.parse_any(known.get("since")) or now
        told = clock.parse_any(known.get("told_at"))
        if told and (alerts.remind is None or now - told < alerts.remind):
            return
        _write(core.state_dir, since, told, error)
        alert = alert_words.urgent(troubles.unreachable(error, since, now), alerts.remind,
                                   schedule.zone(core.timezone), program(config.path))
        sent = [attempt(partial(_send, channel, alert, config, ports, now)) for channel in configured(alerts)]
        if "" in sent:
            _write(core.state_dir, since, now, error)
    except (ConfigError, OSError):          # what is wrong with these is told by the line that cron mails
        pass


def _send(channel: str, alert, config, ports, now) -> str:
    alerts = config.section("alerts")
    if channel == "webhook":
        from ..ports.http import trusted
        return send_webhook(alert, alerts, ports.http(trusted(config.section("webhooks"), alerts.timeout)))
    mail = config.section("mail")
    transport = ports.mail(mail)
    try:
        return send_email(alert, alerts, mail, transport, ports.monotonic() + SECONDS, now)
    finally:
        transport.close()


def returned(state_dir: str, health) -> list:
    """What is over, and is told of once: the time without a database, or else the time without cron."""
    known, gap, zone, found = _read(state_dir), health.host.gap, health.zone, []
    since = clock.parse_any(known.get("since"))
    if gap:
        found.append(_past("gap", gap, zone, "no job was started", "Cron or the host had stopped", ""))
    if since:
        away = _past("away", (since, health.now), zone, "no job could use the database", "It can be used again",
                     known.get("error", ""))
        if gap and gap[0] <= since <= gap[1]:           # one cause, one alert: the next run finds the gap told
            away = away._replace(key=found.pop().key)
        found.append(away)
    return found


def forget(state_dir: str) -> None:
    """The row that tells of it is stored: the file may go."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(state_dir, FILE))


def _past(kind: str, span: tuple, zone, subject: str, why: str, error: str):
    begin, end = span
    return troubles.Trouble(f"{kind}:{clock.text(begin)}", kind, f"{subject} from {troubles.from_to(begin, end, zone)}",
                            begin, f"{why}. Jobs that were missed meanwhile run now, each once.",
                            troubles.words(error), "history")


def _read(state_dir: str) -> dict:
    try:
        with open(os.path.join(state_dir, FILE), encoding="utf-8") as file:
            found = json.load(file)
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(state_dir: str, since, told, error) -> None:
    folders.write(os.path.join(folders.private(state_dir), FILE), json.dumps(
        {"since": clock.text(since), "told_at": told and clock.text(told), "error": troubles.words(str(error))}))
