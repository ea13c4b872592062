"""Webhooks and domains: what users set up, what the app leaves to the jobs, and how the endpoints
and name servers of others behave."""
from __future__ import annotations

from ..outside import Spell
from ..world import DAY, HOUR, act

FOR_EVER = 10 ** 9
MOST_ENDPOINTS, MOST_DOMAINS = 10, 10
# (how it is, for how long): of an endpoint
AILMENTS = (("away", 3 * HOUR), ("away", 14 * HOUR), ("broken", 2 * HOUR), ("broken", 20 * HOUR),
            ("silent", 5 * HOUR), ("busy", 8 * HOUR), ("away", 4 * DAY), ("broken", 8 * DAY),
            ("away", 9 * DAY), ("gone", FOR_EVER))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@act(per_day=0.7)
def new_endpoint(world, chosen) -> str:
    """A user registers an endpoint."""
    if (user := world.user(chosen)) and _count(world, "webhooks") < MOST_ENDPOINTS:
        id = world.add("webhooks", user_id=user["id"], secret=SECRET, created_at=world.text(),
                       url=f"https://h{next(world.numbers)}.example/hook")
        return f"user {user['id']} makes endpoint {id}"
    return ""


@act(per_day=0.4)
def endpoint_ails(world, chosen) -> str:
    """An endpoint does not work for a while, or says that it is gone."""
    endpoint = world.pick(chosen, "webhooks", "active = 1")
    if not endpoint:
        return ""
    how, seconds = chosen.choice(AILMENTS)
    _spell(world, endpoint["url"].split("/")[2], how, seconds)
    return f"endpoint {endpoint['id']} is {how}" + _for(seconds)


@act(per_day=0.3)
def endpoint_enabled(world, chosen) -> str:
    """An owner has repaired an endpoint, and enables it again in the app."""
    endpoint = world.pick(chosen, "webhooks", "active = 0 AND user_id IN "
                          "(SELECT id FROM {users} WHERE status = 'active')")
    if not endpoint:
        return ""
    world.db.execute("UPDATE {webhooks} SET active = 1, disabled_at = NULL, disabled_reason = NULL,"
                     " failing_since = NULL WHERE id = :id", id=endpoint["id"])
    _spell(world, endpoint["url"].split("/")[2], "good", DAY)
    return f"endpoint {endpoint['id']} is enabled again"


@act(per_day=0.05)
def endpoint_deleted(world, chosen) -> str:
    """An owner deletes an endpoint; what waits for it is left to the jobs."""
    endpoint = world.pick(chosen, "webhooks")
    if not endpoint:
        return ""
    world.db.execute("DELETE FROM {webhooks} WHERE id = :id", id=endpoint["id"])
    return f"endpoint {endpoint['id']} is deleted"


@act(per_day=6)
def event(world, chosen) -> str:
    """Something happens, and the app leaves its delivery to the jobs, often after a first try."""
    endpoint = world.pick(chosen, "webhooks", "active = 1")
    return _event(world, chosen, endpoint) if endpoint else ""


@act(per_day=0.08)
def many_events(world, chosen) -> str:
    """Much happens at once to one endpoint."""
    endpoint = world.pick(chosen, "webhooks", "active = 1")
    if not endpoint:
        return ""
    for _ in range(15):
        _event(world, chosen, endpoint)
    return f"15 events for endpoint {endpoint['id']}"


def _event(world, chosen, endpoint: dict) -> str:
    tried = chosen.random() < 0.6
    number = next(world.numbers)
    id = world.add("webhook_deliveries", webhook_id=endpoint["id"], user_id=endpoint["user_id"],
                   event_id=f"evt_{number}", event_type="alias.created",
                   payload=f'{{"number": {number}}}', attempts=int(tried),
                   last_attempt_at=world.text() if tried else None, created_at=world.text())
    return f"delivery {id} to endpoint {endpoint['id']} waits" + ", tried once" * tried


@act(per_day=0.4)
def new_domain(world, chosen) -> str:
    """A user adds a domain; its records are right after some hours, or days, or never."""
    user = world.user(chosen)
    if not user or _count(world, "domains") >= MOST_DOMAINS:
        return ""
    name = f"d{next(world.numbers)}.example"
    id = world.add("domains", user_id=user["id"], name=name, created_at=world.text(),
                   ownership_token=f"token-{name.partition('.')[0]}")
    after = chosen.choice((HOUR // 4, 2 * HOUR, 9 * HOUR, 3 * DAY, 12 * DAY, None))
    if chosen.random() < 0.3:
        _spell(world, name, "wrong", after or FOR_EVER)
    if after is not None:
        now = world.clock.seconds
        world.simulation.weather.add(name, Spell(now + after, FOR_EVER, "right"))
    return f"user {user['id']} adds domain {id}" + ("" if after is None else
                                                   f", right{_for(after, 'after')}")


@act(per_day=0.2)
def domain_breaks(world, chosen) -> str:
    """A verified domain loses its records, and gets them back after a while."""
    domain = world.pick(chosen, "domains", "status = 'verified'")
    if not domain:
        return ""
    seconds = chosen.choice((2 * HOUR, 10 * HOUR, 40 * HOUR, 5 * DAY, 9 * DAY))
    how = chosen.choice(("wrong", "missing"))
    _spell(world, domain["name"], how, seconds)
    return f"domain {domain['id']} is {how}{_for(seconds)}"


@act(per_day=0.3)
def recheck_asked(world, chosen) -> str:
    """An owner wants a domain to be checked now."""
    if not (domain := world.pick(chosen, "domains")):
        return ""
    world.db.execute("UPDATE {domains} SET recheck_requested_at = :now WHERE id = :id",
                     now=world.text(), id=domain["id"])
    return f"a check of domain {domain['id']} is asked for"


def _count(world, table: str) -> int:
    return world.db.value(f"SELECT COUNT(*) FROM {{{table}}}")


def _spell(world, what: str, how: str, seconds: float) -> None:
    now = world.clock.seconds
    world.simulation.weather.add(what, Spell(now, now + seconds, how))


def _for(seconds: float, word: str = "for") -> str:
    return " from now on" if seconds >= FOR_EVER else f" {word} {seconds / HOUR:g} h"
