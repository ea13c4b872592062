"""What the operator was told: one row of `alerts` for each trouble, and which of them each channel
still has to tell.

Sent first, recorded after, each channel by itself: a kill in between tells the same once more, and
loses nothing. A trouble that goes away and comes back soon is one trouble: it is over only when it
has stayed away, the longer the more often it came back.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock

from .incidents import alike

Pending = namedtuple("Pending", "state row")
Pending.__doc__ = "What a channel has to tell of a row: `new`, `once`, `still` or `over`."

CHANNELS = ("email", "webhook")
ONCE = ("gap", "away")              # told of when they are over already, and never again
CHANNEL = "channel"
FAILURES = ("failing", "archive")    # which are one where the error is one
SETTLE = timedelta(minutes=30)      # so long a trouble stays away before it is over
LONGEST_SETTLE = timedelta(days=1)
DAY = timedelta(days=1)
KEPT = timedelta(days=30)           # rows of troubles that are over
TOLD = ("kind", "subject", "what", "last_error", "command")
TIMES = ("since", "first_seen_at", "cleared_at", "resolved_at", "email_told_at", "webhook_told_at")
STATES = ("new", "once", "still", "over")


def load(db) -> dict[str, dict]:
    """{key: row}, with times as aware datetimes."""
    rows = db.query("SELECT alert_key, kind, since, subject, what, last_error, command, "
                    "first_seen_at, cleared_at,"
                    " resolved_at, returns, email_told_at, webhook_told_at FROM {alerts}")
    for row in rows:
        for name in TIMES:
            row[name] = clock.parse_any(row[name])
    return {row["alert_key"]: row for row in rows}


def judge(rows: dict, found: list, now) -> dict[str, dict]:
    """{key: what is to change in its row}, and `rows` changed so. Rows of channels are changed when
    one is tried."""
    changes: dict = {}
    for key, row in rows.items():
        # by a clock that was ahead: else no reminder comes until then
        _note(changes, rows, key, {name: now for name in TIMES if row[name] and row[name] > now})
    found = _as_known(rows, found)
    for trouble in found:
        row = rows.get(trouble.key)
        told = dict(zip(TOLD, (trouble.kind, trouble.subject, trouble.what, trouble.error or None,
                               trouble.command)))
        if row is None or row["resolved_at"]:
            values = {**_anew(row, now), "since": trouble.since, **told}
        else:
            values = {**told, "cleared_at": None}
        if trouble.kind in ONCE:
            values = {} if row else {**values, "resolved_at": now}
        _note(changes, rows, trouble.key, values)
    seen = {trouble.key for trouble in found}
    for key, row in rows.items():
        if key in seen or row["resolved_at"] or row["kind"] == CHANNEL:
            continue
        if row["cleared_at"] is None:
            _note(changes, rows, key, {"cleared_at": now})
        elif now - row["cleared_at"] >= min(SETTLE * 2 ** min(row["returns"], 10), LONGEST_SETTLE):
            _note(changes, rows, key, {"resolved_at": now})
    return changes


def _as_known(rows: dict, found: list) -> list:
    """The same, each failure under the name by which it was told of: the first job to meet it may
    be well again."""
    taken = {trouble.key for trouble in found}
    known = {(row["kind"], alike(row["last_error"])): key for key, row in rows.items()
             if not row["resolved_at"] and row["kind"] in FAILURES and key not in taken}
    return [trouble if trouble.kind not in FAILURES
            or (trouble.key in rows and not rows[trouble.key]["resolved_at"])
            else trouble._replace(key=known.pop((trouble.kind, alike(trouble.error)), trouble.key))
            for trouble in found]


def _anew(row: dict | None, now) -> dict:
    """A trouble that begins, or begins again."""
    back = row["returns"] + 1 if row and now - row["resolved_at"] < DAY else 0
    return {"first_seen_at": now, "cleared_at": None, "resolved_at": None, "returns": back,
            "email_told_at": None, "webhook_told_at": None}


def _note(changes: dict, rows: dict, key: str, values: dict) -> None:
    row = rows.setdefault(key, {"alert_key": key})
    values = {name: value for name, value in values.items() if name not in row or row[name]
              != value}
    row.update(values)
    if values:
        changes[key] = {**changes.get(key, {}), **values}


def store(db, changes: dict) -> None:
    """Write them, in one commit."""
    def work():
        for key, values in changes.items():
            sets = ", ".join(f"{name} = :{name}" for name in values)
            if not db.execute(f"UPDATE {{alerts}} SET {sets} WHERE alert_key = :alert_key",
                              alert_key=key, **values):
                db.insert("alerts", alert_key=key, **values)
    if changes:
        db.batch(work)


def forget(db, rows: dict, now) -> int:
    """Delete the rows of troubles that were over long ago."""
    old = [key for key, row in rows.items() if row["resolved_at"] and now - row["resolved_at"]
           >= KEPT]
    return db.execute("DELETE FROM {alerts} WHERE alert_key IN (:old)", old=old) if old else 0


def pending(rows: dict, channel: str, now, remind) -> list[Pending]:
    """What this channel has to tell, what is new first. `remind`: how often of what lasts, or
    None."""
    found = [Pending(state, row) for row in rows.values()
             if (state := _state(row, channel, now, remind))]
    return sorted(found, key=lambda each: (STATES.index(each.state), each.row["since"],
                                           each.row["alert_key"]))


def _state(row: dict, channel: str, now, remind) -> str:
    told = row[f"{channel}_told_at"]
    if row["kind"] == CHANNEL and row["alert_key"] == key_of(channel) and not row["resolved_at"]:
        # it is told by the channel itself: once that can be read, it works again
        return "over"
    if row["resolved_at"]:
        if told is None:
            return "once" if row["kind"] in ONCE else ""
        return "over" if told < row["resolved_at"] else ""
    if row["cleared_at"]:
        return ""
    if told is None:
        return "new"
    return "still" if remind is not None and now - told >= remind else ""


def told(db, rows: dict, channel: str, sent: list[Pending], now) -> None:
    """Record what a channel has carried, in one commit; if it was broken, it no longer is."""
    values = {f"{channel}_told_at": now}
    changes: dict = {}
    for each in sent:
        _note(changes, rows, each.row["alert_key"], values)
    row = rows.get(key_of(channel))
    if row and not row["resolved_at"]:
        _note(changes, rows, row["alert_key"], {"resolved_at": now, **values})
    store(db, changes)


def broken(db, rows: dict, channel: str, error: str, now) -> None:
    """Record that a channel did not work: the other one tells of it."""
    key, names = key_of(channel), {"email": "e-mail", "webhook": "the webhook"}
    changes: dict = {}
    row = rows.get(key)
    values = {"kind": CHANNEL, "subject": f"alerts by {names[channel]} do not arrive",
              "last_error": error, "what": f"No alert could be sent by {names[channel]}. Each run "
              "tries again.", "command": "check_jobs --set try=yes"}
    if row is None or row["resolved_at"]:
        values = {**_anew(row, now), "since": now, **values}
    _note(changes, rows, key, values)
    store(db, changes)


def key_of(channel: str) -> str:
    """The key of the trouble that this channel does not work."""
    return f"{CHANNEL}:{channel}"
