"""What is purged, expires or is added up: logs, held mail and spam, links and sessions,
destinations that nobody verifies, aliases that end, and files that nobody names.

Times are often a full half hour, as most ticks are, so that rows are met exactly at their limit.
"""
from __future__ import annotations

import random
from datetime import timedelta

from ..world import ACTIVE, BYTE_LIMITS, DAY, EMAIL_LIMITS, HOUR, OF_ACTIVE, act, change

HISTORY = 34                    # days before the first one of which there are rows
STATUSES = ("delivered",) * 6 + ("blocked", "held", "spam", "bounced", "failed")
KINDS = ("usage_threshold", "alias_expiring", "alias_expired", "destination_reminder")
UNVERIFIED = f"verified_at IS NULL AND {OF_ACTIVE}"
# table: when a message came in
STORED = {"overflow_hold": "held_at", "spam_quarantine": "quarantined_at"}


def begin(world) -> None:
    """What is there already: some of each, of all ages."""
    chosen = random.Random(f"{world.seed} history")
    # limits that are reached
    for user in world.db.query("SELECT id FROM {users} ORDER BY id"):
        world.db.execute("UPDATE {users} SET email_limit = :emails, bandwidth_limit_bytes = :bytes "
                         "WHERE id = :id", id=user["id"], emails=chosen.choice(EMAIL_LIMITS),
                         bytes=chosen.choice(BYTE_LIMITS))
    for day in range(HISTORY, 0, -1):
        days = day - chosen.randrange(48) / 48
        for _ in range(3):
            message_passes(world, chosen, days)
        for function, likely in ((message_held, 0.4), (message_quarantined, 0.6),
                                 (something_is_audited, 1), (adds_destination, 0.2),
                                 (signs_in, 0.3)):
            if chosen.random() < likely:
                function(world, chosen, days)
        if chosen.random() < 0.1:
            uses_destination(world, chosen)


def _time(world, chosen, days: float = 0) -> str:
    """So many days ago, or ahead. Often it is a full half hour, or one of the night before (after,
    if it is ahead), when most of the jobs are due."""
    past, which = world.clock.seconds % (HOUR / 2), chosen.random()
    if which < 0.25:
        since_one = (world.now() - timedelta(hours=1)).hour * HOUR + world.clock.seconds % HOUR
        past = since_one - chosen.randrange(7) * HOUR / 2
        past += DAY * ((past < 0) - (days < 0))
    return world.text(days=days, seconds=past if which < 0.5 else 0)


# Messages

@act(12, "users", ACTIVE)
def message_passes(world, chosen, user, days: float = 0) -> str:
    """A message came through, or was stopped: a row in the log, with its headers or without."""
    alias = world.pick(chosen, "aliases", "user_id = :user", user=user["id"])
    late = chosen.randrange(1, 240) / 24 if chosen.random() < 0.06 else 0
    size = -5 if chosen.random() < 0.02 else int(10 ** chosen.uniform(2.5, 5.3))
    log = world.add("message_logs", user_id=user["id"],
                    alias_id=alias["id"] if alias and chosen.random() < 0.9 else None,
                    direction=chosen.choice(("forward", "forward", "forward", "reply", "send")),
                    status=chosen.choice(STATUSES), bytes_used=size,
                    created_at=_time(world, chosen, days + late))
    if chosen.random() < 0.5:
        # now and then of a row that was never written
        number = log if chosen.random() < 0.95 else 10 ** 6 + log
        world.add("header_snapshots", message_log_id=number, user_id=user["id"],
                  ciphertext=b"x" * 40, created_at=_time(world, chosen, days))
    return f"user {user['id']} has a message {log} of {size} bytes" + (" (late)" if late else "")


@act(0.4, "users", ACTIVE)
def message_is_logged_late(world, chosen, user) -> str:
    """The hook's transaction is open for an hour, in which a higher id is stored."""
    row = {"user_id": user["id"], "direction": "forward", "status": "delivered",
           "bytes_used": chosen.randrange(300, 5000), "created_at": world.text()}
    late = world.add("message_logs", **row) + 1
    world.add("message_logs", id=late + 1, **row)

    def commits() -> str:
        if not world.pick(chosen, "users", f"id = :id AND {ACTIVE}", id=user["id"]):
            return f"the message {late} of user {user['id']} is not logged"
        world.add("message_logs", id=late, **row)
        return f"the message {late} of user {user['id']} is logged an hour late"
    world.simulation.later(HOUR, commits)
    return f"messages {late - 1} and {late + 1} of user {user['id']} are logged"


def _stores(name: str, per_day: float, table: str):
    def happens(world, chosen, days: float = 0) -> str:
        size = chosen.randrange(200, 3000)
        path, when = world.spooled(size), _time(world, chosen, days)
        ids = []
        # one message for two aliases is one file, whatever becomes of each
        for to in [table, chosen.choice([*STORED])][:1 if chosen.random() < 0.7 else 2]:
            alias = world.pick(chosen, "aliases", OF_ACTIVE)
            ids.append(alias and world.add(
                to, user_id=alias["user_id"], alias_id=alias["id"], sender="someone@sender.test",
                subject=f"Subject {path}", size_bytes=size, raw_path=path, **{STORED[to]: when}))
        return f"{table} {ids}"
    happens.__name__ = name
    return act(per_day)(happens)


# one over its owner's limit is held
message_held = _stores("message_held", 0.8, "overflow_hold")
message_quarantined = _stores("message_quarantined", 1.2, "spam_quarantine")


@act(0.3, "failed_emails", f"status = 'pending' AND {OF_ACTIVE}")
def second_recipient(world, chosen, row) -> str:
    """A message that waits was for another destination too: two rows name its file."""
    if not (world.spool / row["raw_path"]).exists():
        return ""
    id = world.add("failed_emails", user_id=row["user_id"], alias_id=row["alias_id"],
                   envelope_from=row["envelope_from"],
                   envelope_to=world.mailbox(chosen, row["user_id"]), raw_path=row["raw_path"],
                   size_bytes=row["size_bytes"], created_at=world.text())
    return f"forward {id} is of the same message as {row['id']}"


@act(per_day=0.5)
def owner_releases(world, chosen) -> str:
    """An owner wants a message after all: the app forwards it, or leaves that to the jobs."""
    table = chosen.choice([*STORED])
    row = world.pick(chosen, table, f"released_at IS NULL AND {OF_ACTIVE}")
    if not row or not world.db.execute(
            f"UPDATE {{{table}}} SET released_at = :now WHERE id = :id AND released_at IS NULL",
            now=world.half_hour(chosen), id=row["id"]):
        return ""
    if chosen.random() < 0.5:
        world.add("failed_emails", user_id=row["user_id"], alias_id=row["alias_id"],
                  envelope_from=row["sender"], envelope_to=world.mailbox(chosen, row["user_id"]),
                  raw_path=row["raw_path"], size_bytes=row["size_bytes"], created_at=world.text())
    return f"user {row['user_id']} releases {table} {row['id']}"


@act(per_day=0.3)
def file_without_row(world, chosen) -> str:
    """The mail hook was ended between the file and its row; or it is only slow."""
    return f"the file {world.spooled(500, chosen.choice((0, 2 * HOUR)))} has no row"


# Accounts

@act(per_day=3)
def something_is_audited(world, chosen, days: float = 0) -> str:
    user = world.pick(chosen, "users", ACTIVE)
    severity = chosen.choice(("info",) * 6 + ("warning", "warning", "critical", "critical"))
    id = world.add("audit_logs", user_id=user["id"] if user and chosen.random() < 0.9 else None,
                   actor="app", event=chosen.choice(("login", "alias.created", "password.changed")),
                   severity=severity, ip="192.0.2.7", details='{"n": 1}',
                   created_at=_time(world, chosen, days))
    return f"audit row {world.simulation.number('audit_logs', id)} ({severity})"


@act(2, "users", ACTIVE)
def asks_for_link(world, chosen, user) -> str:
    id = world.add("magic_links", user_id=user["id"], token_hash=f"{next(world.numbers):064x}",
                   created_at=world.text(),
                   expires_at=_time(world, chosen, -chosen.choice((0.1, 1, 1, 3))))
    return f"user {user['id']} asks for link {id}"


# it is good once
change("uses_link", 1, "magic_links", f"used_at IS NULL AND expires_at > :now AND {OF_ACTIVE}",
       "link {id} is used", "UPDATE {magic_links} SET used_at = :then WHERE id = :id")


@act(1.5, "users", ACTIVE)
def signs_in(world, chosen, user, days: float = 0) -> str:
    id = world.add("sessions", user_id=user["id"], token_hash=f"{next(world.numbers):064x}",
                   created_at=world.text(days=days), last_seen_at=_time(world, chosen, days),
                   expires_at=_time(world, chosen, days - chosen.choice((1, 14, 90, 90))))
    return f"user {user['id']} signs in: session {id}"


change("comes_back", 1.5, "sessions", f"expires_at > :now AND {OF_ACTIVE}",
       "session {id} is seen again", "UPDATE {sessions} SET last_seen_at = :then WHERE id = :id")


@act(0.3, "users", ACTIVE)
def changes_choices(world, chosen, user) -> str:
    """A user's own retention, a limit, or the day of the bill."""
    column, values = chosen.choice((
        ("log_retention_days", (None, 0, 3, 5, 30, 400)), ("email_limit", (None, *EMAIL_LIMITS)),
        ("bandwidth_limit_bytes", (None, 0, *BYTE_LIMITS)),
        ("billing_anchor", ("2026-01-31", "2026-12-15", None))))
    value = chosen.choice(values)
    world.db.execute(f"UPDATE {{users}} SET {column} = :value WHERE id = :id", value=value,
                     id=user["id"])
    return f"user {user['id']} has {column} = {value}"


@act(0.06, "users", ACTIVE)
def opts_out(world, chosen, user) -> str:
    kind = chosen.choice(KINDS)
    if not world.db.row("SELECT kind FROM {notification_optouts} WHERE user_id = :id "
                        "AND kind = :kind", id=user["id"], kind=kind):
        world.add("notification_optouts", user_id=user["id"], kind=kind)
    return f"user {user['id']} opts out of {kind}"


# Destinations and aliases

@act(0.6, "users", ACTIVE)
def adds_destination(world, chosen, user, days: float = 0) -> str:
    id = world.add("destinations", user_id=user["id"], email=world.mailbox(chosen, user["id"]),
                   created_at=_time(world, chosen, days))
    _token(world, chosen, id, days)
    return f"user {user['id']} adds destination {id}"


def _token(world, chosen, destination: int, days: float = 0) -> None:
    world.add("destination_verifications", destination_id=destination,
              token_hash=f"{next(world.numbers):064x}", created_at=world.text(days=days),
              expires_at=_time(world, chosen, days - 1))


@act(0.2, "destinations", UNVERIFIED)
def asks_for_token(world, chosen, row) -> str:
    _token(world, chosen, row["id"])
    return f"destination {row['id']} gets another token"


# a token comes back in time
change("verifies", 0.25, "destination_verifications", "expires_at > :now AND destination_id "
       f"IN (SELECT id FROM {{destinations}} WHERE {OF_ACTIVE})",
       "destination {destination_id} is verified",
       "UPDATE {destinations} SET verified_at = :now WHERE id = :destination_id",
       "DELETE FROM {destination_verifications} WHERE destination_id = :destination_id")


@act(0.5, "destinations", UNVERIFIED)
def uses_destination(world, chosen, row) -> str:
    """An alias is to forward to a destination that is not verified, or no longer."""
    alias = world.pick(chosen, "aliases", "user_id = :user", user=row["user_id"])
    if not alias:
        return ""
    link = {"alias_id": alias["id"], "destination_id": row["id"]}
    if not world.db.execute("DELETE FROM {alias_destinations} WHERE alias_id = :alias_id "
                            "AND destination_id = :destination_id", **link):
        world.add("alias_destinations", **link)
    return f"alias {alias['id']} and destination {row['id']}"


@act(0.25, "aliases", f"expires_at IS NOT NULL AND {OF_ACTIVE}")
def changes_end(world, chosen, row) -> str:
    """An alias gets another end, or none; the app switches it on again."""
    days = chosen.choice((None, 1, 2, 4, 10))
    end = None if days is None else _time(world, chosen, -days)
    world.db.execute("UPDATE {aliases} SET expires_at = :end, expiry_notified_at = NULL, "
                     "active = 1 WHERE id = :id", end=end, id=row["id"])
    return f"alias {row['id']} ends {end or 'never'}"
