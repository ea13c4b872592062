"""Accounts that end, wait or come back; exports; and the app's own notices."""
from __future__ import annotations

from ..world import act

FEWEST_USERS = 4
CLOSED = "the account is deleted"        # docs/deletion.md


@act(per_day=0.16)
def account_deleted(world, chosen) -> str:
    """A user deletes the account."""
    user = world.pick(chosen, "users", "status <> 'deleted'")
    if not user or _are_few(world):
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


@act(per_day=0.12)
def account_suspended(world, chosen) -> str:
    """The operator suspends an account."""
    user = world.user(chosen)
    if not user or _are_few(world):
        return ""
    _set(world, user, "suspended", None)
    return f"user {user['id']} is suspended"


@act(per_day=0.4)
def account_reactivated(world, chosen) -> str:
    """And lets it go on."""
    if not (user := world.pick(chosen, "users", "status = 'suspended'")):
        return ""
    _set(world, user, "active", None)
    return f"user {user['id']} is active again"


@act(per_day=0.6)
def export_asked(world, chosen) -> str:
    """A user asks for an export, or for several."""
    if not (user := world.user(chosen)):
        return ""
    number = chosen.choice((1, 1, 1, 1, 2, 4))
    for _ in range(number):
        world.add("export_requests", user_id=user["id"], requested_at=world.text())
    return f"user {user['id']} asks for an export" + f", {number} times" * (number > 1)


@act(per_day=1.5)
def notice_of_app(world, chosen) -> str:
    """The app has a notice for somebody."""
    if not (user := world.user(chosen)):
        return ""
    priority = chosen.choice((0, 1, 1, 1, 2))
    return f"notice {_notice(world, user, priority)} of the app, priority {priority}"


@act(per_day=0.03)
def many_notices(world, chosen) -> str:
    """The app writes to somebody very often."""
    if not (user := world.user(chosen)):
        return ""
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
    return world.db.value(
        "SELECT COUNT(*) FROM {users} WHERE status = 'active'") <= FEWEST_USERS


def _set(world, user: dict, status: str, deleted_at) -> None:
    world.db.execute("UPDATE {users} SET status = :status, deleted_at = :deleted_at "
                     "WHERE id = :id", id=user["id"], status=status, deleted_at=deleted_at)
