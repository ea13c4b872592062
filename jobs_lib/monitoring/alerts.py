"""One look at everything, and one message about what was not reported yet, by each channel.

`alerts` has a row for each incident. A message is sent first and recorded then: a kill in between
repeats it, and loses none. `notified_at` is set when any channel took it, so a broken channel
repeats nothing; it makes the run fail, and the other channel says so. An incident that disappears
and returns within half an hour is still the same one. Most runs have nothing to report, and load
nothing that writes or sends a message.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import guard, relay
from jobs_lib.errors import JobsError
from jobs_lib.features.queues import BY_JOB
from jobs_lib.runner import incident_files

from . import incidents, rules
from .facts import DAY, TABLES, Facts
from .incidents import Notice

STATES = ("new", "once", "still", "over")
SETTLE = timedelta(minutes=30)      # how long an incident must not be found before it is over
KEPT = timedelta(days=30)           # rows of incidents that are over
DETAILS = ("kind", "subject", "error")
TIMES = ("since", "first_seen_at", "cleared_at", "resolved_at", "notified_at")


def check(ctx) -> None:
    """Look, record, notify; write the page of [status]. JobsError where a channel does not work, or
    the page cannot be written."""
    guard.end_fallen(ctx.db, ctx.options_of, BY_JOB, ctx.now)
    found, before, rows, notices = _look(ctx)
    _store(ctx.db, [row for key, row in rows.items() if row != before.get(key)])
    _log(ctx, before, rows)
    errors = _notify(ctx, rows, notices) if notices else []
    old = [key for key, row in rows.items()
           if row["resolved_at"] and ctx.now - row["resolved_at"] >= KEPT]
    if old and ctx.doubt is None:
        ctx.db.execute("DELETE FROM {alerts} WHERE alert_key IN (:old)", old=old)
    if f"configuration:{TABLES}" in [each.key for each in found]:
        from jobs_lib.database.schema import fit
        fit.note(ctx.db)  # what jobs lack may be there by now
    try:
        if path := ctx.section("status").page:
            from . import publish
            publish.replace(path, publish.page(ctx.config, ctx.db, ctx.now))
    except JobsError as error:
        errors.append(str(error))
    if errors:
        raise JobsError("; ".join(errors))


def preview(ctx) -> None:
    """A dry run: which alerts would be sent."""
    from .alert_messages import channels
    *_, notices = _look(ctx)
    names = channels(ctx.config) if notices else []
    ctx.counts.clear()      # of what was looked at
    ctx.count("sent", len(names))
    ctx.show(f"send alerts by {' and '.join(names) or 'no channel'}"
             if notices else "send no alert: nothing is new", [
        {**each._asdict(), "kind": each.kind, "state": state, "since": clock.text(each.since)}
        for state, each, _ in notices])


def _look(ctx) -> tuple:
    """(the incidents that this job reports, the rows as they are, as they are to be, what is to be
    sent)."""
    facts, before = Facts(ctx.config, ctx.db, ctx.now), _load(ctx.db)
    # this run shows that the database can be written, and that this job is not late
    known_better = (f"installation:{incident_files.DATABASE}", f"late:{ctx.job.name}")
    found = [each for each in (*incidents.gap(facts, before), *rules.find(facts))
             if each.key not in known_better]
    ctx.counts.update(jobs=len(facts.jobs), queues=len(facts.queues),
                      incidents=len([each for each in found if not each.is_over]))
    found = _under_known_keys(before, found)
    rows = reconcile(before, found, ctx.now)
    return found, before, rows, pending(rows, found, ctx.now, facts.alerts.remind)


def store_past(db, incident, now) -> None:
    """Store an incident that is over already: the next run of check_jobs reports it, once."""
    if incident.key not in _load(db):
        _store(db, [*reconcile({}, [incident], now).values()])


# The rows

def _load(db) -> dict[str, dict]:
    """{key: row}, with times as aware datetimes."""
    return {row["alert_key"]: {**row, **{name: clock.parse_any(row[name]) for name in TIMES}}
            for row in db.query(f"SELECT alert_key, {', '.join((*DETAILS, *TIMES))} "
                                "FROM {alerts}")}


def _open(rows: dict) -> dict:
    return {key: row for key, row in rows.items() if row["resolved_at"] is None}


def _under_known_keys(rows: dict, found: list) -> list:
    """The same, each failure under the key by which it was reported: the first job that had this
    error may have recovered."""
    taken, is_open = {each.key for each in found}, _open(rows)
    known = {incidents.cause(row["error"]): key for key, row in is_open.items()
             if row["kind"] == "failing" and row["error"] and key not in taken}
    return [each._replace(key=known.pop(incidents.cause(each.error), each.key))
            if each.kind == "failing" and each.key not in is_open else each for each in found]


def reconcile(rows: dict, found: list, now) -> dict:
    """The rows as they are with the incidents that are found now."""
    # a clock that was ahead has written times from which no reminder would come for long
    rows = {key: {**row, **{name: min(row[name], now) for name in TIMES if row[name]}}
            for key, row in rows.items()}
    for each in found:
        row, details = rows.get(each.key), {name: getattr(each, name) for name in DETAILS}
        if row is None or (row["resolved_at"] and not each.is_over):
            rows[each.key] = {"alert_key": each.key, **details, **dict.fromkeys(TIMES),
                              "since": each.since, "first_seen_at": now,
                              "resolved_at": now if each.is_over else None}
        elif not row["resolved_at"]:
            row.update(details, cleared_at=None)
    seen = {each.key for each in found}
    for key, row in _open(rows).items():
        if key not in seen:
            row["cleared_at"] = row["cleared_at"] or now
            if now - row["cleared_at"] >= SETTLE:
                row["resolved_at"] = now
    return rows


def _store(db, rows: list) -> None:
    """Write these rows, in one commit."""
    def work() -> None:
        for row in rows:
            db.upsert("alerts", {"alert_key": row["alert_key"]},
                      {name: row[name] for name in (*DETAILS, *TIMES)})
    if rows:
        db.batch(work)


def _log(ctx, before: dict, rows: dict) -> None:
    """What began and what ended, whether or not anybody is notified."""
    is_open = _open(rows)
    for key in sorted(is_open.keys() ^ _open(before).keys()):
        row, begins = rows[key], key in is_open
        log = ctx.log.warning if begins else ctx.log.event
        log("incident" if begins else "incident over", incident=key, subject=row["subject"],
            error=row["error"])


# Messages

def pending(rows: dict, found: list, now, remind) -> list[Notice]:
    """What is to be reported, new incidents first. `remind`: the time between two reminders, or
    None."""
    there, notices = {each.key: each for each in found}, []
    for key, row in rows.items():
        if state := _state(row, now, remind):
            known = there.get(key) or incidents.Incident(
                key, row["subject"], row["since"], "", "", row["error"] or "")
            notices.append(Notice(state, known._replace(since=row["since"]),
                                  row["cleared_at"] or row["resolved_at"]))
    return sorted(notices, key=lambda each: (
        STATES.index(each.state), each.incident.since, each.incident.key))


def _state(row: dict, now, remind) -> str:
    """One of STATES, or "" where there is nothing to report."""
    notified, resolved = row["notified_at"], row["resolved_at"]
    if resolved and notified is None:
        # over when it was found; else nobody has heard that it began
        return "once" if resolved == row["first_seen_at"] else ""
    if resolved:
        return "over" if notified < resolved else ""
    if row["cleared_at"]:
        return ""
    if notified is None:
        return "new"
    return "still" if remind is not None and now - notified >= remind else ""


def _notify(ctx, rows: dict, notices: list) -> list[str]:
    """Send it by each channel, and record that. Which channels did not work, and why."""
    from .alert_messages import CHANNELS, SECONDS, Alert, alert, channels, send

    def deliver(message: Alert, names: list) -> dict:
        left = min(SECONDS, ctx.hard_limit - ctx.monotonic())
        errors = send(message, ctx.config, ctx.ports(), names, left)
        if errors.get("email") == "":  # it counts, and no limit delays it
            relay.count(ctx.db, ctx.clock(), len(ctx.section("alerts").email))
        return errors

    errors = deliver(alert(notices, ctx.config), channels(ctx.config))
    working = [name for name, error in errors.items() if not error]
    if working:
        ctx.count("sent", len(working))
        _store(ctx.db, [{**rows[each.incident.key], "notified_at": ctx.clock()}
                        for each in notices])
    sentences = [f"alerts by {CHANNELS[name]} do not arrive: {error}"
                 for name, error in errors.items() if error]
    if sentences and working and not ctx.db.row(  # once a day
            "SELECT id FROM {job_runs} WHERE job = :job "
            "AND started_at > :since AND error LIKE :said LIMIT 1",
            job=ctx.job.name, since=ctx.now - DAY,
            said=f"{sentences[0].partition(': ')[0]}: %"):
        deliver(Alert("alerts do not arrive",
                      f"{'; '.join(sentences)}. Next: `jobs.py alerts test`."), working[:1])
    return sentences
