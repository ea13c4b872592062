"""What a run costs that finds nothing to do, beside bare Python, in one run.

    python -m tests.benchmarks.startup [--rounds 25] [--before FOLDER]

Whole processes, in turn; the median of the ratios to bare Python, taken within a round: of the time
from start to end, and of the processor's time, which other work on the machine changes less.
`--before` compares them with another checkout, which has an installation of its own, in the same
rounds.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks import tick
from tests.benchmarks.figures import beside_goal
from tests.support.shell import ROOT

IDLE = "run-due, nothing due"
FORWARDS = "retry_forwards by cron, nothing to do"
TICK = "run-due, an ordinary tick: six jobs, empty"
CPU = 1                         # of (seconds, those of the processor)
GOALS = {IDLE: 2.0, FORWARDS: 3.0, TICK: 4.0}
BEFORE, NO_SLOWER = ", before", 1.02        # less than that is noise
INSTALL = """
import json, sys
from tests.benchmarks import tick
from tests.support.shell import Shell
service = Shell(sys.argv[1], f"sqlite:///{sys.argv[1]}/jobs.db")
print(json.dumps(tick.make_history(service)))
service.db.close()                      # a tick on a host is alone, too
"""


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


def install(folder: str, checkout) -> list[str]:
    """A checkout's installation with a day behind it; what is due at each of its ticks."""
    os.mkdir(folder)
    return json.loads(subprocess.check_output([sys.executable, "-c", INSTALL, folder],
                                              cwd=checkout))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--before", metavar="FOLDER", help="another checkout, in the same rounds")
    args = parser.parse_args()
    # The system's own Python, as a host's cron starts it: one in a virtual environment looks for
    # its packages first.
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    with tempfile.TemporaryDirectory() as folder:
        contestants, due = {"python3 -c pass": ([python, "-c", "pass"], folder)}, {}
        for ending, checkout in (("", ROOT), *([(BEFORE, args.before)] if args.before else [])):
            place, jobs = f"{folder}/installed{ending[2:]}", f"{checkout}/jobs.py"
            due[place] = install(place, checkout)
            contestants[TICK + ending] = [python, jobs, "run-due"], place
            contestants[IDLE + ending] = [python, jobs, "run-due"], place
            contestants[FORWARDS + ending] = [python, jobs, "retry_forwards"], place
        seconds: dict = {name: [] for name in contestants}
        for turn in range(args.rounds + 1):
            for name, (command, place) in contestants.items():
                environment = {"PATH": os.environ["PATH"], "JOBS_CONFIG": f"{place}/config.ini"}
                if name.startswith(TICK):
                    newest = tick.make_due(f"{place}/jobs.db", due[place])
                spent = timed(command, environment)
                if name.startswith(TICK):
                    tick.check(f"{place}/jobs.db", due[place], newest)
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
        if before := seconds.get(name + BEFORE):
            print("    CPU relative to before: " + beside_goal(
                f"{name}, relative to before", ratio(seconds[name], before, CPU),
                at_most=NO_SLOWER))


def ratio(values: list, others: list, which: int) -> float:
    """The median of the ratios within a round."""
    return statistics.median(value[which] / other[which] for value, other in zip(values, others))


if __name__ == "__main__":
    main()
