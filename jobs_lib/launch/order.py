"""In which order the due jobs of a tick are started, and how much of its time each of them gets."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.catalogue import LAST, PRIORITIES
from jobs_lib.runner import history

# Seconds that much work needs to get anywhere: mail begins no message with less than 60 to the hard
# limit, behind the grace.
WITH_GRACE, LEAST_SECONDS = 80.0, 30.0
UNKNOWN = 0.25                  # of the budget, to begin a job that nothing is known of
LAST_SECONDS = 20.0             # for the job that looks at all others
VERY_LATE = timedelta(hours=1)  # goes first
# how the last run of a job has ended that may do so again, or never ended
DIED = ("timeout", "vanished", "running")


def in_order(config, ports, found: list, budget: float) -> list:
    """The due jobs in the order to start them, each with the seconds that it needs. `budget`: for
    all of them.

    Those that are very late go first, then by priority and lateness. One that has hung or died goes
    behind all others until it is very late.
    """
    grace, now = config.section("core").grace.total_seconds(), ports.now()
    full = min(budget, max(LEAST_SECONDS, WITH_GRACE - grace))
    ranked = []
    for due in found:
        job, late = due.job, now - (due.since or now)
        has_died = due.last.get("status") in DIED
        is_late, is_last = late > VERY_LATE, job.priority == LAST
        needs = full
        if is_last:
            needs = 0.0
        elif not has_died and due.last.get("stop_reason") != "budget":
            usual = history.usual_seconds(ports.database(), job.name)
            needs = min(full, budget * UNKNOWN if usual is None else usual)
        rank = (is_last, has_died and not is_late, not is_late, PRIORITIES.index(job.priority),
                -late, job.name)
        ranked.append((rank, due._replace(needs=needs)))
    return [due for _, due in sorted(ranked, key=lambda pair: pair[0])]


def share(due, behind: list, left: float, is_first: bool) -> float | None:
    """Seconds that a due job may use of what is left; None where these are too few to begin it.

    It leaves those behind it what they usually take, and half of the time at most. So one that
    always has more work than time keeps none away for long: what the time does not suffice for goes
    first once it is very late.
    """
    if due.job.priority == LAST:
        return max(left, LAST_SECONDS)
    if left < due.needs and not is_first:
        return None
    others = sum(each.needs for each in behind)
    return max(left - min(left / 2, others), due.needs, 1.0)
