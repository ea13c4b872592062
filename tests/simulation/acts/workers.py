"""An operator who moves jobs to the workers of RQ, and back to cron."""
from __future__ import annotations

from ..world import act

JOBS = ("retry_forwards", "send_notifications", "retry_webhooks", "expire_overflow_hold",
        "rollup_usage", "purge_message_logs")


@act(per_day=0.5)
def move_to_workers(world, chosen) -> str:
    """A job moves, if there is a broker."""
    name, mode = chosen.choice(JOBS), chosen.choice(("rq", "rq", "cron"))
    if not world.simulation.redis:
        return ""
    for host in world.simulation.hosts:
        host.configure(**{name: {"mode": mode}})
    return f"{name} is run by {mode}"
