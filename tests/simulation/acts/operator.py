"""The operator at the command line."""
from __future__ import annotations

from ..oracle.runs import JOBS
from ..world import HOUR, act

LAST_DAYS = 2                # of the simulation, in which nothing is begun that has an end
LOOKS = (("status",), ("status", "--json"), ("list",), ("list", "--json"), ("history",),
         ("history", "retry_forwards", "--json"), ("queue",), ("queue", "forwards"),
         ("queue", "webhooks", "--failed", "--json"), ("report", "--output", "status.html"),
         ("metrics", "--output", "jobs.prom"), ("doctor", "--json"), ("config", "check"),
         ("config", "show"), ("migrate", "--check"), ("crontab",), ("test", "purge_sessions"))
REPLAYED = {"forward": "failed_emails", "webhook": "webhook_deliveries",
            "notification": "notifications"}
# (job, for how long it is to keep rows for a change)
RETENTIONS = (("purge_webhook_deliveries", "4d"), ("purge_webhook_deliveries", "60d"),
              ("purge_job_history", "30d"))
NO_OPTION = {"purge_webhook_deliveries": "30d", "purge_job_history": "90d"}


def _type(world, chosen, *words: str) -> str:
    """Type this at one of the hosts."""
    simulation = world.simulation
    world.close()
    simulation.command(chosen.choice(simulation.hosts), *words)
    return f"the operator types {' '.join(words)}"


def _is_late(world) -> bool:
    return world.clock.seconds > (world.simulation.days - LAST_DAYS) * 24 * HOUR


@act(per_day=0.8)
def looks(world, chosen) -> str:
    """How are things?"""
    return _type(world, chosen, *chosen.choice(LOOKS))


@act(per_day=0.7)
def runs_by_hand(world, chosen) -> str:
    """A run by hand, or what it would do."""
    how = chosen.choice(((), (), ("--dry-run",), ("--json",), ("-v",)))
    return _type(world, chosen, chosen.choice(JOBS), *how)


@act(per_day=0.12)
def pauses(world, chosen) -> str:
    """A job is paused."""
    return "" if _is_late(world) else _type(world, chosen, "pause", chosen.choice(JOBS))


@act(per_day=6)
def resumes(world, chosen) -> str:
    """And goes on, some hours later."""
    paused = world.db.query("SELECT job FROM {job_state} WHERE paused_at IS NOT NULL ORDER BY job")
    return _type(world, chosen, "resume", paused[0]["job"]) if paused else ""


@act(per_day=0.5)
def replays(world, chosen) -> str:
    """Something that has failed is sent again."""
    kind = chosen.choice(sorted(REPLAYED))
    row = world.pick(chosen, REPLAYED[kind], "status = 'failed'")
    return _type(world, chosen, "replay", kind, str(row["id"])) if row else ""


@act(per_day=0.08)
def tries_retention(world, chosen) -> str:
    """Rows of a job are kept for another time than usual."""
    job, keep = chosen.choice(RETENTIONS)
    if _is_late(world) or job in world.usual:
        return ""
    world.usual[job] = world.simulation.hosts[0].options.get(job, {}).get("keep", NO_OPTION[job])
    return _keep(world, chosen, job, keep)


@act(per_day=0.3)
def usual_retention(world, chosen) -> str:
    """And for the usual time again."""
    if not world.usual:
        return ""
    job = min(world.usual)
    return _keep(world, chosen, job, world.usual.pop(job))


def _keep(world, chosen, job: str, keep: str) -> str:
    for host in world.simulation.hosts:
        host.configure(**{job: {"keep": keep}})
    _type(world, chosen, job)
    return f"[{job}] keep is {keep} from now on, and the operator runs it"
