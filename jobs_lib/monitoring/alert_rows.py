"""The rows of `alerts`: one for each incident, and which of them each channel has still to report.

Each channel sends first and records after, by itself: a kill in between repeats a message, and
loses none. An incident that disappears and returns within half an hour is still the same one.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

from .incidents import without_digits

Pending = namedtuple("Pending", "state row")
Pending.__doc__ = "What a channel has to report of a row: `new`, `once`, `still` or `over`."

CHANNELS = {"email": "e-mail", "webhook": "the webhook"}
ONCE = ("gap", "away")              # over when they are found: reported once
CHANNEL = "channel"                 # the kind of an incident of the alerts themselves
FAILURES = ("failing", "archive")   # the same incident as long as the error is the same
SETTLE = timedelta(minutes=30)      # how long an incident must not be seen before it is over
KEPT = timedelta(days=30)           # rows of incidents that are over
DETAILS = ("kind", "subject", "what", "last_error", "command")
TIMES = ("since", "first_seen_at", "cleared_at", "resolved_at", "email_told_at", "webhook_told_at")
STATES = ("new", "once", "still", "over")


def key_of(channel: str) -> str:
    """The key of the incident that this channel does not work."""
    return f"{CHANNEL}:{channel}"


def configured(alerts) -> list[str]:
    """The channels that are set up in [alerts]."""
    return [name for name in CHANNELS if getattr(alerts, name)]


def load(db) -> AlertTable:
    """All rows, with times as aware datetimes."""
    names = ("alert_key", *DETAILS, *TIMES)
    rows = db.query(f"SELECT {', '.join(names)} FROM {{alerts}}")
    return AlertTable({row["alert_key"]: {**row, **{name: clock.parse_any(row[name])
                                                    for name in TIMES}} for row in rows})


class AlertTable:
    """`rows` is {key: row}. Changes are made in memory; `store` writes them."""

    def __init__(self, rows: dict[str, dict] | None = None) -> None:
        self.rows = rows or {}
        self._changes: dict[str, dict] = {}

    def open(self) -> dict[str, dict]:
        """The rows of incidents that are not over."""
        return {key: row for key, row in self.rows.items() if row["resolved_at"] is None}

    def reconcile(self, found: list, now) -> None:
        """Bring the rows up to the incidents found now. Those of channels change when one is
        tried."""
        for key, row in self.rows.items():
            # written by a clock that was ahead: else no reminder comes until then
            self._set(key, {name: now for name in TIMES if row[name] and row[name] > now})
        found = self._under_known_keys(found)
        for incident in found:
            self._found(incident, now)
        seen = {incident.alert_key for incident in found}
        for key, row in self.open().items():
            if key in seen or row["kind"] == CHANNEL:
                continue
            if row["cleared_at"] is None:
                self._set(key, {"cleared_at": now})
            elif now - row["cleared_at"] >= SETTLE:
                self._set(key, {"resolved_at": now})

    def _under_known_keys(self, found: list) -> list:
        """The same, each failure under the key by which it was reported: the first job that had
        this error may have recovered."""
        taken, rows = {incident.alert_key for incident in found}, self.open()
        known = {(row["kind"], without_digits(row["last_error"])): key for key, row in rows.items()
                 if row["kind"] in FAILURES and key not in taken}
        return [incident if incident.kind not in FAILURES or incident.alert_key in rows
                else incident._replace(alert_key=known.pop(
                    (incident.kind, without_digits(incident.last_error)), incident.alert_key))
                for incident in found]

    def _found(self, incident, now) -> None:
        details = {name: getattr(incident, name) for name in DETAILS}
        details["last_error"] = incident.last_error or None
        if incident.alert_key in self.open():
            self._set(incident.alert_key, {**details, "cleared_at": None})
        elif incident.kind not in ONCE:
            self._begin(incident.alert_key, incident.since, details, now)
        elif incident.alert_key not in self.rows:
            self._begin(incident.alert_key, incident.since, details, now, resolved_at=now)

    def _begin(self, key: str, since, details: dict, now, resolved_at=None) -> None:
        self._set(key, {**dict.fromkeys(TIMES), "since": since, "first_seen_at": now,
                        "resolved_at": resolved_at, **details})

    def _set(self, key: str, values: dict) -> None:
        row = self.rows.setdefault(key, {"alert_key": key})
        new = {name: value for name, value in values.items()
               if name not in row or row[name] != value}
        row.update(new)
        if new:
            self._changes.setdefault(key, {}).update(new)

    def store(self, db) -> None:
        """Write what has changed, in one commit."""
        changes, self._changes = self._changes, {}

        def work() -> None:
            for key, values in changes.items():
                sets = ", ".join(f"{name} = :{name}" for name in values)
                if not db.execute(f"UPDATE {{alerts}} SET {sets} WHERE alert_key = :alert_key",
                                  alert_key=key, **values):
                    db.insert("alerts", alert_key=key, **values)
        if changes:
            db.batch(work)

    def purge(self, db, now) -> None:
        """Delete the rows of incidents that were over long ago."""
        old = [key for key, row in self.rows.items()
               if row["resolved_at"] and now - row["resolved_at"] >= KEPT]
        if old:
            db.execute("DELETE FROM {alerts} WHERE alert_key IN (:old)", old=old)

    def pending(self, channel: str, now, remind) -> list[Pending]:
        """What this channel has to report, new incidents first. `remind`: the time between two
        reminders, or None."""
        found = [Pending(state, row) for row in self.rows.values()
                 if (state := _state(row, channel, now, remind))]
        return sorted(found, key=lambda each: (STATES.index(each.state), each.row["since"],
                                               each.row["alert_key"]))

    def delivered(self, channel: str, sent: list[Pending], now) -> None:
        """The channel has carried these; if it was broken, it no longer is."""
        notified = {f"{channel}_told_at": now}
        for each in sent:
            self._set(each.row["alert_key"], notified)
        if key_of(channel) in self.open():
            self._set(key_of(channel), {"resolved_at": now, **notified})

    def broken(self, channel: str, error: str, now) -> None:
        """The channel did not work: the other one reports it."""
        key, name = key_of(channel), CHANNELS[channel]
        details = {"kind": CHANNEL, "subject": f"alerts by {name} do not arrive",
                   "what": f"No alert could be sent by {name}. Each run tries again.",
                   "last_error": error, "command": "check_jobs --set try=yes"}
        if key in self.open():
            self._set(key, details)
        else:
            self._begin(key, now, details, now)


def _state(row: dict, channel: str, now, remind) -> str:
    """One of STATES, or "" where this channel has nothing to report."""
    notified, resolved = row[f"{channel}_told_at"], row["resolved_at"]
    if row["alert_key"] == key_of(channel) and not resolved:
        # sent by the channel itself: once that can be read, it works again
        return "over"
    if resolved and notified is None:
        return "once" if row["kind"] in ONCE else ""
    if resolved:
        return "over" if notified < resolved else ""
    if row["cleared_at"]:
        return ""
    if notified is None:
        return "new"
    return "still" if remind is not None and now - notified >= remind else ""
