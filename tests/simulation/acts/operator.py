"""The operator at the command line."""
from __future__ import annotations

from ..oracle.runs import JOBS
from ..world import DAY, act

LAST_DAYS = 2                # of the simulation, in which nothing is begun that has an end
LOOKS = (("status",), ("status", "--json"), ("list",), ("list", "--json"), ("history",),
         ("history", "retry_forwards", "--json"), ("queue",), ("queue", "forwards"),
         ("queue", "webhooks", "--failed", "--json"), ("report", "--output", "status.html"),
         ("metrics", "--output", "jobs.prom"), ("doctor", "--json"), ("config", "check"),
         ("config", "show"), ("migrate", "--check"), ("crontab",), ("test", "purge_sessions"))
REPLAYED = {"forward": "failed_emails", "webhook": "webhook_deliveries",
            "notification": "notifications"}


def _type(world, chosen, *words: str) -> str:
    simulation = world.simulation
    world.close()
    simulation.command(chosen.choice(simulation.hosts), *words)
    return f"the operator types {' '.join(words)}"


@act(per_day=0.8)
def looks(world, chosen) -> str:
    return _type(world, chosen, *chosen.choice(LOOKS))


@act(per_day=0.7)
def runs_by_hand(world, chosen) -> str:
    """A run by hand, or what it would do."""
    how = chosen.choice(((), (), ("--dry-run",), ("--json",), ("-v",)))
    return _type(world, chosen, chosen.choice(JOBS), *how)


@act(per_day=0.12)
def pauses(world, chosen) -> str:
    if world.clock.seconds > (world.simulation.days - LAST_DAYS) * DAY:
        return ""
    return _type(world, chosen, "pause", chosen.choice(JOBS))


@act(per_day=6)
def resumes(world, chosen) -> str:
    """And goes on, some hours later."""
    paused = world.db.query("SELECT job FROM {job_state} WHERE paused_at IS NOT NULL ORDER BY job")
    return _type(world, chosen, "resume", paused[0]["job"]) if paused else ""


@act(per_day=0.5)
def replays(world, chosen) -> str:
    kind = chosen.choice(sorted(REPLAYED))
    row = world.pick(chosen, REPLAYED[kind], "status = 'failed'")
    if not row:
        return ""
    _type(world, chosen, "replay", kind, str(row["id"]))
    return f"the operator replays {kind} {world.simulation.number(REPLAYED[kind], row['id'])}"
