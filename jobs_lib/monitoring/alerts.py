"""One look at everything, and one message to each channel about what it has not told yet."""
from __future__ import annotations

from functools import partial

from jobs_lib import catalogue, clock
from jobs_lib.engines.relay_limits import Relay
from jobs_lib.errors import JobsError
from jobs_lib.paths import program
from jobs_lib.runner import standing

from . import alert_messages, alert_rows, database_outage, health, incidents, samples
from .alert_channels import EMAIL_SECONDS, attempt, configured, send_email, send_webhook

LEAST_SECONDS = 5.0
SHOWN = 50
NOBODY = "nobody is told of anything: set [alerts] email or webhook"


def check(ctx, counts: dict) -> None:
    """Look, record, tell. JobsError when no channel works."""
    looked, found = _look(ctx, counts)
    rows = alert_rows.load(ctx.db)
    before = {key: row["resolved_at"] for key, row in rows.items()}
    alert_rows.store(ctx.db, alert_rows.judge(rows, found, ctx.now))
    database_outage.forget(ctx.section("core"))
    _log(ctx, rows, before)
    if ctx.clock_in_doubt is None:
        alert_rows.forget(ctx.db, rows, ctx.now)
    counts["troubles"] = _open(rows)
    error = _tell(ctx, rows, counts, looked.zone)
    if ctx.clock_in_doubt is None:          # it forgets what is old
        samples.record(ctx.db, looked)
    if error:
        raise error


def preview(ctx) -> dict:
    """A dry run: which alerts would be sent, and by what."""
    counts: dict = {}
    _, found = _look(ctx, counts)
    rows, alerts = alert_rows.load(ctx.db), ctx.section("alerts")
    alert_rows.judge(rows, found, ctx.now)
    counts.update(troubles=_open(rows), sent=0)
    for channel in configured(alerts):
        sent = alert_rows.pending(rows, channel, ctx.now, alerts.remind)
        counts["sent"] += len(sent)
        if sent:
            ctx.show(f"tell of {len(sent)} by {channel}",
                     [_shown(each.state, each.row) for each in sent[:SHOWN]])
    if counts["troubles"] and not counts["sent"]:
        note = "told before" if configured(alerts) else "nobody is told: set [alerts] email or webhook"
        ctx.show(f"{counts['troubles']} incidents", [_shown("open", row) for row in rows.values()
                                                     if _is_open(row)], note)
    return counts


def preview_test(ctx) -> dict:
    """A dry run of the test: by what it would be sent."""
    channels = configured(ctx.section("alerts"))
    if not channels:
        raise JobsError(NOBODY)
    ctx.show(f"send a test alert by {' and '.join(channels)}", [])
    return {"sent": len(channels)}


def test(ctx, counts: dict) -> None:
    """Send a test by each channel, and say what came of it."""
    channels = configured(ctx.section("alerts"))
    if not channels:
        raise JobsError(NOBODY)
    errors = [f"{channel}: {error}" for channel in channels
              if (error := _send(ctx, channel, alert_messages.trial()))]
    counts["sent"] = len(channels) - len(errors)
    if errors:
        raise JobsError("; ".join(errors))


def _look(ctx, counts: dict) -> tuple:
    broken: list[str] = []
    looked = health.collect(ctx.db, ctx.config, catalogue.load_all(broken), ctx.now, broken)
    counts.update(jobs=len(looked.jobs), queues=len(looked.queues))
    found = [*database_outage.returned(ctx.section("core"), looked),
             *incidents.find(looked, ctx.config)]
    # Broken channels it finds out by itself, and of itself there is nothing to tell: it runs.
    own = [f"{kind}:{ctx.job.name}" for kind in ("failing", "late")]
    # That the database can be written, this run has shown.
    return looked, [each for each in found if each.kind not in (alert_rows.CHANNEL,
                                                                standing.UNWRITABLE)
                    and each.key not in own]


def _open(rows: dict) -> int:
    return sum(map(_is_open, rows.values()))


def _is_open(row: dict) -> bool:
    return row["resolved_at"] is None


def _shown(state: str, row: dict) -> dict:
    return {"state": state, "kind": row["kind"], "subject": row["subject"],
            "since": clock.text(row["since"]), "last_error": row["last_error"]}


def _log(ctx, rows: dict, before: dict) -> None:
    """What began and what ended, whether or not anybody is told."""
    for key, row in rows.items():
        if _is_open(row) and before.get(key, ctx.now) is not None:
            ctx.log.warning("trouble", trouble=key, subject=row["subject"], error=row["last_error"])
        elif not _is_open(row) and key in before and before[key] is None:
            ctx.log.event("trouble over", trouble=key, subject=row["subject"])


def _tell(ctx, rows: dict, counts: dict, zone) -> JobsError | None:
    alerts, errors = ctx.section("alerts"), {}
    channels = configured(alerts)
    for channel in channels + channels[:1]:
        # the first once more: it tells of what the second could not
        sent = alert_rows.pending(rows, channel, ctx.now, alerts.remind)
        if not sent or channel in errors or ctx.hard_limit - ctx.monotonic() < LEAST_SECONDS:
            continue
        error = _send(ctx, channel, alert_messages.alert(sent, alerts.remind, zone,
                                                         program(ctx.config.path)))
        if error:
            errors[channel] = incidents.words(error)
            ctx.log.warning("alert not sent", channel=channel, error=errors[channel])
            alert_rows.broken(ctx.db, rows, channel, errors[channel], ctx.clock())
            continue
        alert_rows.told(ctx.db, rows, channel, sent, ctx.clock())
        counts["sent"] = counts.get("sent", 0) + 1
        ctx.log.event("alert sent", channel=channel,
                      troubles=[each.row["alert_key"] for each in sent])
    for channel in alert_rows.CHANNELS:
        if channel not in channels and _is_open(rows.get(alert_rows.key_of(channel),
                                                         {"resolved_at": ctx.now})):
            # nobody wants it any more
            alert_rows.told(ctx.db, rows, channel, [], ctx.clock())
    if errors and len(errors) == len(channels):
        return JobsError("no alert could be sent: " + "; ".join(f"{name}: {error}" for name,
                                                                error in errors.items()))
    return None


def _send(ctx, channel: str, alert) -> str:
    return attempt(partial({"email": _email, "webhook": _webhook}[channel], ctx, alert))


def _email(ctx, alert) -> str:
    mail, now = ctx.section("mail"), ctx.clock()
    deadline = min(ctx.hard_limit, ctx.monotonic() + EMAIL_SECONDS)
    # an alert counts, and no limit holds it back
    counted = partial(Relay(ctx.db, mail).count, now)
    return send_email(alert, ctx.section("alerts"), mail, ctx.mail(), deadline, now, counted)


def _webhook(ctx, alert) -> str:
    return send_webhook(alert, ctx.section("alerts"), ctx.trusted_http())
