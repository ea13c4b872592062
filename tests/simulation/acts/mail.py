"""Users, their addresses, and the mail that the jobs have to send."""
from __future__ import annotations

import random

from ..world import ACTIVE, BYTE_LIMITS, EMAIL_LIMITS, NATURES, OF_ACTIVE, World, act


def begin(world: World) -> None:
    """The users that are there on the first day."""
    chosen = random.Random(f"{world.seed} begin")
    world.open()
    for _ in range(6):
        sign_up(world, chosen)


@act(per_day=0.15)
def sign_up(world, chosen) -> str:
    """A new user, with a first alias and a first destination."""
    number = next(world.numbers)
    limited = chosen.random() < 0.6
    id = world.add("users", email=f"owner{number}-{chosen.choice(NATURES[:6])}@home.test",
                   name=f"Owner {number}", status="active", created_at=world.text(),
                   email_limit=chosen.choice(EMAIL_LIMITS) if limited else None,
                   bandwidth_limit_bytes=chosen.choice(BYTE_LIMITS) if limited else None,
                   billing_anchor=world.text()[:10],
                   log_retention_days=chosen.choice((None, None, 3, 30)))
    destination = world.add("destinations", user_id=id, email=world.mailbox(chosen, id),
                            verified_at=world.text(), created_at=world.text())
    alias = world.add("aliases", user_id=id, address=f"first{number}@alias.example", active=1,
                      created_at=world.text())
    world.add("alias_destinations", alias_id=alias, destination_id=destination)
    return f"user {id} signs up"


@act(0.4, "users", ACTIVE)
def new_alias(world, chosen, user) -> str:
    ends = chosen.choice((None, 2, 5, 20))
    address = f"a{next(world.numbers)}@alias.example"
    alias = world.add("aliases", user_id=user["id"], address=address, active=1,
                      created_at=world.text(),
                      expires_at=None if ends is None else world.text(days=-ends))
    destination = world.pick(chosen, "destinations", "user_id = :user", user=user["id"])
    if destination:
        world.add("alias_destinations", alias_id=alias, destination_id=destination["id"])
    return f"user {user['id']} makes alias {alias}" + (f" for {ends} days" if ends else "")


@act(7, "aliases", f"active = 1 AND {OF_ACTIVE}")
def forward_fails(world, chosen, alias) -> str:
    """The mail hook could not hand a message over, and leaves it to the jobs."""
    destination = world.pick(
        chosen, "destinations", "id IN (SELECT destination_id FROM {alias_destinations} "
        "WHERE alias_id = :alias)", alias=alias["id"])
    if not destination:
        return ""
    size = chosen.randrange(200, 5000)
    id = world.add("failed_emails", user_id=alias["user_id"], alias_id=alias["id"],
                   destination_id=destination["id"], envelope_from="someone@sender.test",
                   envelope_to=destination["email"], raw_path=world.spooled(size),
                   size_bytes=size, last_code=451, last_error="4.7.1 greylisted",
                   created_at=world.text())
    return f"forward {id} to {destination['email']} fails at first"
