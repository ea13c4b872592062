"""What a run costs that finds nothing to do, beside bare Python, in one run.

    python -m tests.benchmarks.startup

Whole processes, in turn; the median of the ratios to bare Python, taken within a round: of the time
from start to end, and of the processor's time, which other work on the machine changes less.
"""
from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks import tick
from tests.benchmarks.all import beside_goal
from tests.support.shell import ROOT, Shell

IDLE = "run-due, nothing due"
FORWARDS = "retry_forwards by cron, nothing to do"
TICK = "run-due, an ordinary tick: six jobs, empty"
CPU = 1                         # of (seconds, those of the processor)
GOALS = {IDLE: 2.0, FORWARDS: 3.0, TICK: 4.0}
ROUNDS = 25


def timed(command: list[str], environment: dict) -> tuple[float, float]:
    """Seconds of a whole process, and those of the processor."""
    began, used = time.perf_counter(), children()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - began, children() - used


def children() -> float:
    """Processor seconds of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    # The system's own Python, as a host's cron starts it: one in a virtual environment looks for
    # its packages first.
    python, jobs = shutil.which("python3", path="/usr/bin") or sys.executable, f"{ROOT}/jobs.py"
    contestants = {"python3 -c pass": [python, "-c", "pass"], TICK: [python, jobs, "run-due"],
                   IDLE: [python, jobs, "run-due"], FORWARDS: [python, jobs, "retry_forwards"]}
    seconds: dict = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db")
        due = tick.make_history(service)
        service.close()                     # a tick on a host is alone, too
        environment = {"PATH": os.environ["PATH"], "JOBS_CONFIG": f"{folder}/config.ini"}
        for turn in range(ROUNDS + 1):
            for name, command in contestants.items():
                if name == TICK:
                    newest = tick.make_due(f"{folder}/jobs.db", due)
                spent = timed(command, environment)
                if name == TICK:
                    tick.check(f"{folder}/jobs.db", due, newest)
                if turn:                                # the first warms the caches
                    seconds[name].append(spent)
    report(python, seconds)


def report(python: str, seconds: dict) -> None:
    """Print the medians, and those of the ratios."""
    first = seconds["python3 -c pass"]
    print(f"Python {subprocess.check_output([python, '--version'], text=True).split()[1]}, "
          f"{len(first)} rounds, load {os.getloadavg()[0]:.0f}")
    for name, values in seconds.items():
        figures = []
        for which, what in enumerate(("ms", "ms of CPU")):
            middle = statistics.median(value[which] for value in values)
            figures.append(f"{middle * 1000:7.1f} {what}, {ratio(values, first, which):5.2f} of "
                           "bare Python")
        print(f"  {name:<50} {';'.join(figures)}")
    for name, most in GOALS.items():
        print(f"  {name}, CPU relative to bare Python: "
              + beside_goal(name, ratio(seconds[name], first, CPU), at_most=most))


def ratio(values: list, others: list, which: int) -> float:
    """The median of the ratios within a round."""
    return statistics.median(value[which] / other[which] for value, other in zip(values, others))


if __name__ == "__main__":
    main()
