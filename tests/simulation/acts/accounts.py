"""Accounts that end, wait or come back; exports; and the app's own notices."""
from __future__ import annotations

from ..world import ACTIVE, act, change

MANY = f"(SELECT COUNT(*) FROM {{users}} WHERE {ACTIVE}) > 4"
# at once: the guard holds more, and nobody confirms it here
FEW_DELETED = "(SELECT COUNT(*) FROM {users} WHERE status = 'deleted') < 5"

change("account_deleted", 0.16, "users", f"status <> 'deleted' AND {MANY} AND {FEW_DELETED}",
       "user {id} deletes the account",
       "UPDATE {users} SET status = 'deleted', deleted_at = :now WHERE id = :id")
# by an operator, in its days of grace, as docs/accounts.md has it
change("account_restored", 0.03, "users", "status = 'deleted' AND deleted_at > :since",
       "user {id} is restored",
       "UPDATE {users} SET status = 'active', deleted_at = NULL WHERE id = :id",
       "UPDATE {aliases} SET active = 1 WHERE user_id = :id",
       "UPDATE {webhooks} SET active = 1, disabled_at = NULL, disabled_reason = NULL, "
       "failing_since = NULL WHERE user_id = :id AND disabled_reason = 'the account is deleted'")
change("account_suspended", 0.12, "users", f"{ACTIVE} AND {MANY}", "user {id} is suspended",
       "UPDATE {users} SET status = 'suspended' WHERE id = :id")
change("account_reactivated", 0.4, "users", "status = 'suspended'", "user {id} is active again",
       "UPDATE {users} SET status = 'active' WHERE id = :id")


@act(0.6, "users", ACTIVE)
def export_asked(world, chosen, user) -> str:
    """A user asks for an export, or for several."""
    number = chosen.choice((1, 1, 1, 1, 2, 4))
    for _ in range(number):
        world.add("export_requests", user_id=user["id"], requested_at=world.text())
    return f"user {user['id']} asks for an export" + f", {number} times" * (number > 1)


@act(1.5, "users", ACTIVE)
def notice_of_app(world, chosen, user) -> str:
    priority = chosen.choice((0, 1, 1, 1, 2))
    return f"notice {_notice(world, user, priority)} of the app, priority {priority}"


@act(0.03, "users", ACTIVE)
def many_notices(world, _chosen, user) -> str:
    for _ in range(60):
        _notice(world, user, 2)
    return f"60 notices of the app for user {user['id']}"


def _notice(world, user: dict, priority: int) -> int:
    number = next(world.numbers)
    id = world.add("notifications", user_id=user["id"], kind="news", to_email=user["email"],
                   subject=f"News {number}", body_text="Hello.", dedupe_key=f"news:{number}",
                   priority=priority, created_at=world.text())
    return world.simulation.number("notifications", id)
