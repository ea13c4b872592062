"""An ordinary tick by one worker of each engine beside the same tick by cron alone: the time from
the start of `run-due` until its six jobs, which find nothing to do, are recorded."""
from __future__ import annotations

import statistics
import time

from tests.benchmarks import tick
from tests.benchmarks.all import beside_goal, service
from tests.servers.brokers import Redis
from tests.support.shell import until

TURNS, MOST = 9, 10.0
BROKERS = {"rq": "redis", "celery": "broker"}


def seconds(one, due: list[str], mode: str) -> float:
    """Of the next tick, which is due."""
    path = str(one.folder / "jobs.db")
    newest = tick.make_due(path, due)
    began = time.perf_counter()
    one.run("run-due", JOBS_CORE_MODE=mode)
    until(lambda: one.db.value("SELECT COUNT(*) FROM {job_runs} WHERE id > :newest AND status "
                               "<> 'running'", newest=newest) >= len(due))
    took = time.perf_counter() - began
    tick.check(path, due, newest)
    return took


def main() -> None:
    ratios = []
    with Redis() as redis:
        for mode, option in BROKERS.items():
            with service() as one:
                due = tick.make_history(one)
                one.configure("worker", **{option: redis.url, "queues": mode})
                one.configure(mode=mode)
                one.start("worker")
                seconds(one, due, mode)                 # it is ready
                both = [(seconds(one, due, "cron"), seconds(one, due, mode))
                        for _ in range(TURNS)]
            cron, worker = (statistics.median(values) for values in zip(*both))
            print(f"cron {cron:.2f} s, {mode} {worker:.2f} s")
            ratios.append(worker / cron)
    print(beside_goal("an ordinary tick by one worker of RQ or Celery, the slower, relative to "
                      "cron", *ratios, at_most=MOST))
