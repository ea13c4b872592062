"""What a run costs that finds nothing to do, beside bare Python, in one run.

Whole processes, in turn; the median of the ratios to bare Python, taken within a round: of the
processor's time, which other work on the machine changes less than the time by the clock.
"""
from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from functools import partial

from tests.benchmarks import tick
from tests.benchmarks.all import beside_goal, service, spent
from tests.support.shell import ROOT

IDLE = "run-due, nothing due"
FORWARDS = "retry_forwards by cron, nothing to do"
TICK = "run-due, an ordinary tick: six jobs, empty"
GOALS = {IDLE: 2.0, FORWARDS: 3.0, TICK: 4.0}
ROUNDS = 25


def main() -> None:
    # The system's own Python: one in a virtual environment looks for its packages first.
    python, jobs = shutil.which("python3", path="/usr/bin") or sys.executable, f"{ROOT}/jobs.py"
    contestants = {"python3 -c pass": [python, "-c", "pass"], TICK: [python, jobs, "run-due"],
                   IDLE: [python, jobs, "run-due"], FORWARDS: [python, jobs, "retry_forwards"]}
    seconds: dict = {name: [] for name in contestants}
    with service() as one:
        due = tick.make_history(one)
        one.close()                         # a tick on a host is alone, too
        folder = one.folder
        environment = {"PATH": os.environ["PATH"], "JOBS_CONFIG": f"{folder}/config.ini"}
        for turn in range(ROUNDS + 1):
            for name, command in contestants.items():
                if name == TICK:
                    newest = tick.make_due(f"{folder}/jobs.db", due)
                used = spent(partial(subprocess.run, command, check=True, env=environment,
                                     capture_output=True))
                if name == TICK:
                    tick.check(f"{folder}/jobs.db", due, newest)
                if turn:                                # the first warms the caches
                    seconds[name].append(used)
    first = seconds["python3 -c pass"]
    print(f"Python {subprocess.check_output([python, '--version'], text=True).split()[1]}, "
          f"{ROUNDS} rounds, load {os.getloadavg()[0]:.0f}; processor time beside bare Python")
    for name, most in GOALS.items():
        ratio = statistics.median(own / bare for own, bare in zip(seconds[name], first))
        print(f"  {name}, {statistics.median(seconds[name]) * 1000:.1f} ms: "
              + beside_goal(name, ratio, at_most=most))
