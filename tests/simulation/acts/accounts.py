"""Accounts that end, wait or come back; exports; and the app's own notices."""
from __future__ import annotations

from ..world import ACTIVE, act

FEWEST_USERS = 4
MOST_DELETED = 5                        # at once: the guard holds more, and nobody confirms it here
CLOSED = "the account is deleted"        # docs/deletion.md


@act(0.16, "users", "status <> 'deleted'")
def account_deleted(world, _chosen, user) -> str:
    """A user deletes the account."""
    deleted = world.db.value("SELECT COUNT(*) FROM {users} WHERE status = 'deleted'")
    if _are_few(world) or deleted >= MOST_DELETED:
        return ""
    _set(world, user, "deleted", world.text())
    return f"user {user['id']} deletes the account"


@act(per_day=0.03)
def account_restored(world, chosen) -> str:
    """An operator restores an account in its days of grace, as docs/deletion.md has it."""
    user = world.pick(chosen, "users", "status = 'deleted' AND deleted_at > :since",
                      since=world.text(days=6))
    if not user:
        return ""
    _set(world, user, "active", None)
    world.db.execute("UPDATE {aliases} SET active = 1 WHERE user_id = :id", id=user["id"])
    world.db.execute(
        "UPDATE {webhooks} SET active = 1, disabled_at = NULL, disabled_reason = NULL, "
        "failing_since = NULL WHERE user_id = :id AND disabled_reason = :why",
        id=user["id"], why=CLOSED)
    return f"user {user['id']} is restored"


@act(0.12, "users", ACTIVE)
def account_suspended(world, _chosen, user) -> str:
    """The operator suspends an account."""
    if _are_few(world):
        return ""
    _set(world, user, "suspended", None)
    return f"user {user['id']} is suspended"


@act(0.4, "users", "status = 'suspended'")
def account_reactivated(world, _chosen, user) -> str:
    """And lets it go on."""
    _set(world, user, "active", None)
    return f"user {user['id']} is active again"


@act(0.6, "users", ACTIVE)
def export_asked(world, chosen, user) -> str:
    """A user asks for an export, or for several."""
    number = chosen.choice((1, 1, 1, 1, 2, 4))
    for _ in range(number):
        world.add("export_requests", user_id=user["id"], requested_at=world.text())
    return f"user {user['id']} asks for an export" + f", {number} times" * (number > 1)


@act(1.5, "users", ACTIVE)
def notice_of_app(world, chosen, user) -> str:
    """The app has a notice for somebody."""
    priority = chosen.choice((0, 1, 1, 1, 2))
    return f"notice {_notice(world, user, priority)} of the app, priority {priority}"


@act(0.03, "users", ACTIVE)
def many_notices(world, _chosen, user) -> str:
    """The app writes to somebody very often."""
    for _ in range(60):
        _notice(world, user, 2)
    return f"60 notices of the app for user {user['id']}"


def _notice(world, user: dict, priority: int) -> int:
    number = next(world.numbers)
    id = world.add("notifications", user_id=user["id"], kind="news", to_email=user["email"],
                   subject=f"News {number}", body_text="Hello.", dedupe_key=f"news:{number}",
                   priority=priority, created_at=world.text())
    return world.number("notifications", id)


def _are_few(world) -> bool:
    return world.db.value(f"SELECT COUNT(*) FROM {{users}} WHERE {ACTIVE}") <= FEWEST_USERS


def _set(world, user: dict, status: str, deleted_at) -> None:
    world.db.execute("UPDATE {users} SET status = :status, deleted_at = :deleted_at "
                     "WHERE id = :id", id=user["id"], status=status, deleted_at=deleted_at)
