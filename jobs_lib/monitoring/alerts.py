"""One look at everything, and one message to each channel about what it has not reported yet.

Most runs have nothing to report, and load nothing that writes or sends a message.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import catalogue, clock
from jobs_lib.errors import JobsError
from jobs_lib.paths import program
from jobs_lib.runner import incident_files

from . import alert_rows, health, incidents
from .alert_rows import configured

LEAST_SECONDS = 5.0
SHOWN = 50
NO_CHANNEL = "no alert can be sent: set [alerts] email or webhook"


def check(ctx, counts: dict) -> None:
    """Look, record, notify. JobsError when no channel works."""
    looked, found = _look(ctx, counts)
    table = alert_rows.load(ctx.db)
    open_before = table.open()
    table.reconcile(found, ctx.now)
    table.store(ctx.db)
    incident_files.forget_past_incidents(ctx.section("core"))
    _log(ctx, table, open_before)
    counts["incidents"] = len(table.open())
    error = _notify(ctx, table, counts, looked.zone)
    if ctx.clock_in_doubt is None:
        table.purge(ctx.db, ctx.now)
    if error:
        raise error
    if looked.blocked.idle:
        from jobs_lib.database.schema import app_gaps
        app_gaps.note(ctx.db)               # what jobs lack may be there by now


def preview(ctx) -> dict:
    """A dry run: which alerts would be sent, and by what."""
    counts: dict = {}
    _, found = _look(ctx, counts)
    table, alerts = alert_rows.load(ctx.db), ctx.section("alerts")
    table.reconcile(found, ctx.now)
    counts.update(incidents=len(table.open()), sent=0)
    for channel in configured(alerts):
        sent = table.pending(channel, ctx.now, alerts.remind)
        counts["sent"] += len(sent)
        if sent:
            ctx.show(f"report {len(sent)} by {channel}",
                     [_shown(each.state, each.row) for each in sent[:SHOWN]])
    if counts["incidents"] and not counts["sent"]:
        note = "reported before" if configured(alerts) else NO_CHANNEL
        ctx.show(f"{counts['incidents']} incidents",
                 [_shown("open", row) for row in table.open().values()], note)
    return counts


def preview_test(ctx) -> dict:
    """A dry run of the test: by what it would be sent."""
    channels = _some_channels(ctx)
    ctx.show(f"send a test alert by {' and '.join(channels)}", [])
    return {"sent": len(channels)}


def test(ctx, counts: dict) -> None:
    """Send a test by each channel. JobsError with what went wrong."""
    from . import alert_messages
    channels = _some_channels(ctx)
    errors = [f"{channel}: {error}" for channel in channels
              if (error := _send(ctx, channel, alert_messages.trial()))]
    counts["sent"] = len(channels) - len(errors)
    if errors:
        raise JobsError("; ".join(errors))


def _some_channels(ctx) -> list[str]:
    channels = configured(ctx.section("alerts"))
    if not channels:
        raise JobsError(NO_CHANNEL)
    return channels


def _look(ctx, counts: dict) -> tuple:
    """(Health, the incidents that this job reports)."""
    broken: list[str] = []
    looked = health.collect(ctx.db, ctx.config, catalogue.load_all(broken), ctx.now, broken)
    counts.update(jobs=len(looked.jobs), queues=len(looked.queues))
    found = [*incidents.past(looked, ctx.section("core")),
             *incidents.find(looked, ctx.config)]
    # This run notices broken channels when it sends, and shows that the database can be written;
    # of itself there is nothing to report, since it runs.
    known_better = (alert_rows.CHANNEL, incident_files.UNWRITABLE)
    own = [f"{kind}:{ctx.job.name}" for kind in ("failing", "late")]
    return looked, [each for each in found
                    if each.kind not in known_better and each.alert_key not in own]


def _shown(state: str, row: dict) -> dict:
    return {"state": state, "kind": row["kind"], "subject": row["subject"],
            "since": clock.text(row["since"]), "last_error": row["last_error"]}


def _log(ctx, table, before: dict) -> None:
    """What began and what ended, whether or not anybody is notified."""
    now_open = table.open()
    for key, row in table.rows.items():
        if key in now_open and key not in before:
            ctx.log.warning("incident", incident=key, subject=row["subject"],
                            error=row["last_error"])
        elif key in before and key not in now_open:
            ctx.log.event("incident over", incident=key, subject=row["subject"])


def _notify(ctx, table, counts: dict, zone) -> JobsError | None:
    """Send what is pending by each channel. The error, if none worked."""
    alerts, errors = ctx.section("alerts"), {}
    channels = configured(alerts)
    # the first one again: it reports that the second did not work
    for channel in channels + channels[:1]:
        sent = table.pending(channel, ctx.now, alerts.remind)
        if not sent or channel in errors or ctx.hard_limit - ctx.monotonic() < LEAST_SECONDS:
            continue
        from . import alert_messages
        message = alert_messages.alert(sent, alerts.remind, zone, program(ctx.config.path))
        error = incidents.short_error(_send(ctx, channel, message))
        if error:
            errors[channel] = error
            ctx.log.warning("alert not sent", channel=channel, error=error)
            table.broken(channel, error, ctx.clock())
        else:
            table.delivered(channel, sent, ctx.clock())
            counts["sent"] = counts.get("sent", 0) + 1
            ctx.log.event("alert sent", channel=channel,
                          incidents=[each.row["alert_key"] for each in sent])
        table.store(ctx.db)
    for channel in alert_rows.CHANNELS:
        if channel not in channels:
            # nobody wants it any more, so it is not broken either
            table.delivered(channel, [], ctx.clock())
    table.store(ctx.db)
    if errors and len(errors) == len(channels):
        causes = "; ".join(f"{name}: {error}" for name, error in errors.items())
        return JobsError(f"no alert could be sent: {causes}")
    return None


def _send(ctx, channel: str, alert) -> str:
    from .alert_channels import attempt
    return attempt(partial({"email": _email, "webhook": _webhook}[channel], ctx, alert))


def _email(ctx, alert) -> str:
    from jobs_lib.engines.relay_limits import Relay

    from .alert_channels import EMAIL_SECONDS, send_email
    mail, now = ctx.section("mail"), ctx.clock()
    deadline = min(ctx.hard_limit, ctx.monotonic() + EMAIL_SECONDS)
    # an alert counts, and no limit delays it
    counted = partial(Relay(ctx.db, mail).count, now)
    return send_email(alert, ctx.section("alerts"), mail, ctx.mail(), deadline, now, counted)


def _webhook(ctx, alert) -> str:
    from .alert_channels import send_webhook
    return send_webhook(alert, ctx.section("alerts"), ctx.trusted_http())
