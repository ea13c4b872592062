"""Webhooks and domains: what users set up, what the app leaves to the jobs, and how the endpoints
and name servers of others behave."""
from __future__ import annotations

from ..world import ACTIVE, ANY, DAY, HOUR, OF_ACTIVE, act, change

FOR_EVER = 10 ** 9
FEW = ACTIVE + " AND (SELECT COUNT(*) FROM {{{}}}) < 10"
# (how it is, for how long): of an endpoint
AILMENTS = (("away", 3 * HOUR), ("away", 14 * HOUR), ("broken", 2 * HOUR), ("broken", 20 * HOUR),
            ("silent", 5 * HOUR), ("busy", 8 * HOUR), ("away", 4 * DAY), ("broken", 8 * DAY),
            ("away", 9 * DAY), ("gone", FOR_EVER))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@act(0.7, "users", FEW.format("webhooks"))
def new_endpoint(world, _chosen, user) -> str:
    id = world.add("webhooks", user_id=user["id"], secret=SECRET, created_at=world.text(),
                   url=f"https://h{next(world.numbers)}.example/hook")
    return f"user {user['id']} makes endpoint {id}"


@act(0.4, "webhooks", "active = 1")
def endpoint_ails(world, chosen, endpoint) -> str:
    """An endpoint does not work for a while, or says that it is gone."""
    how, seconds = chosen.choice(AILMENTS)
    world.simulation.weather.add(endpoint["url"].split("/")[2], how, seconds)
    return f"endpoint {endpoint['id']} is {how}" + _for(seconds)


@act(0.3, "webhooks", f"active = 0 AND {OF_ACTIVE}")
def endpoint_enabled(world, _chosen, endpoint) -> str:
    """An owner has repaired an endpoint, and enables it again in the app."""
    world.db.execute("UPDATE {webhooks} SET active = 1, disabled_at = NULL, disabled_reason = NULL,"
                     " failing_since = NULL WHERE id = :id", id=endpoint["id"])
    world.simulation.weather.add(endpoint["url"].split("/")[2], "good", DAY)
    return f"endpoint {endpoint['id']} is enabled again"


# what waits for it is left to the jobs
change("endpoint_deleted", 0.05, "webhooks", ANY, "endpoint {id} is deleted",
       "DELETE FROM {webhooks} WHERE id = :id")


@act(6, "webhooks", "active = 1")
def event(world, chosen, endpoint) -> str:
    """Something happens, and the app leaves its delivery to the jobs, often after a first try."""
    tried = chosen.random() < 0.6
    number = next(world.numbers)
    id = world.add("webhook_deliveries", webhook_id=endpoint["id"], user_id=endpoint["user_id"],
                   event_id=f"evt_{number}", event_type="alias.created",
                   payload=f'{{"number": {number}}}', attempts=int(tried),
                   last_attempt_at=world.text() if tried else None, created_at=world.text())
    return f"delivery {id} to endpoint {endpoint['id']} waits" + ", tried once" * tried


@act(0.08, "webhooks", "active = 1")
def many_events(world, chosen, endpoint) -> str:
    for _ in range(15):
        event.__wrapped__(world, chosen, endpoint)
    return f"15 events for endpoint {endpoint['id']}"


@act(0.4, "users", FEW.format("domains"))
def new_domain(world, chosen, user) -> str:
    """A user adds a domain; its records are right after some hours, or days, or never."""
    name = f"d{next(world.numbers)}.example"
    id = world.add("domains", user_id=user["id"], name=name, created_at=world.text(),
                   ownership_token=f"token-{name.partition('.')[0]}")
    after = chosen.choice((HOUR // 4, 2 * HOUR, 9 * HOUR, 3 * DAY, 12 * DAY, None))
    if chosen.random() < 0.3:
        world.simulation.weather.add(name, "wrong", after or FOR_EVER)
    if after is not None:
        world.simulation.weather.add(name, "right", FOR_EVER, after)
    return f"user {user['id']} adds domain {id}" + ("" if after is None else
                                                   f", right{_for(after, 'after')}")


@act(0.2, "domains", "status = 'verified'")
def domain_breaks(world, chosen, domain) -> str:
    """A verified domain loses its records, and gets them back after a while."""
    seconds = chosen.choice((2 * HOUR, 10 * HOUR, 40 * HOUR, 5 * DAY, 9 * DAY))
    how = chosen.choice(("wrong", "missing"))
    world.simulation.weather.add(domain["name"], how, seconds)
    return f"domain {domain['id']} is {how}{_for(seconds)}"


change("recheck_asked", 0.3, "domains", ANY, "a check of domain {id} is asked for",
       "UPDATE {domains} SET recheck_requested_at = :now WHERE id = :id")


def _for(seconds: float, word: str = "for") -> str:
    return " from now on" if seconds >= FOR_EVER else f" {word} {seconds / HOUR:g} h"
