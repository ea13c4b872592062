"""What a run costs that finds nothing to do, beside bare Python and the start of two worker
engines, in one run.

    python -m tests.benchmarks.startup [--rounds 25] [--no-peers]

Whole processes, in turn; the median of the ratios to bare Python, taken within a round: of the time
from start to end, and of the processor's time, which other work on the machine changes less.
"""
from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.peers import python_with
from tests.support.shell import ROOT, Shell

IDLE = "run-due, nothing due"
UNPACKED, SINGLE, FIRST = (f"the same, {how}" for how in (
    "as an unpacked bundle", "as a single file", "its first start"))
GOALS = {IDLE: 2.5, "retry_forwards by cron, nothing to do": 4.0}


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
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--no-peers", action="store_true", help="without the packages that have to "
                        "be installed")
    args = parser.parse_args()
    # The system's own Python, as a host's cron starts it: one in a virtual environment looks for
    # its packages first.
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db")
        environment = {"PATH": os.environ["PATH"], "JOBS_CONFIG": f"{folder}/config.ini"}
        jobs = str(ROOT / "jobs.py")
        service.run("run-due")
        contestants = {"python3 -c pass": [python, "-c", "pass"],
                       IDLE: [python, jobs, "run-due"],
                       "retry_forwards by cron, nothing to do": [python, jobs, "retry_forwards"]}
        for name, where in ((UNPACKED, "unpacked"), (SINGLE, "next/jobs.py"),
                            (FIRST, "first/jobs.py")):
            output = f"{folder}/{where}"
            subprocess.run([sys.executable, jobs, "bundle", "--output", output], check=True,
                           stdout=subprocess.DEVNULL)
            file = f"{output}/jobs.py" if name == UNPACKED else output
            timed([python, file, "migrate"], environment)       # unpacks and compiles it
            contestants[name] = [python, file, "run-due"]
        if not args.no_peers:
            peers = os.path.dirname(python_with("rq", "celery"))
            contestants["rq --version"] = [f"{peers}/rq", "--version"]
            contestants["celery --version"] = [f"{peers}/celery", "--version"]
        seconds: dict = {name: [] for name in contestants}
        for turn in range(args.rounds + 1):
            for name, command in contestants.items():
                if name == FIRST:
                    shutil.rmtree(f"{folder}/first/var/program")
                spent = timed(command, environment)
                if turn:                                # the first warms the caches
                    seconds[name].append(spent)
        service.db.close()
    first = seconds["python3 -c pass"]
    print(f"Python {subprocess.check_output([python, '--version'], text=True).split()[1]}, "
          f"{args.rounds} rounds")
    for name, values in seconds.items():
        goal = f"   goal: {GOALS[name]} or less" if name in GOALS else ""
        figures = []
        for which, what in enumerate(("ms", "ms of CPU")):
            middle = statistics.median(value[which] for value in values)
            ratio = statistics.median(value[which] / base[which]
                                      for value, base in zip(values, first))
            figures.append(f"{middle * 1000:7.1f} {what}, {ratio:5.2f} of bare Python")
        print(f"  {name:<43} {';'.join(figures)}{goal}")
    for which, what in enumerate(("time", "time of the processor")):
        ratio = statistics.median(one[which] / folder[which]
                                  for one, folder in zip(seconds[SINGLE], seconds[UNPACKED]))
        print(f"  the single file takes {ratio:.2f} of the {what} of the unpacked bundle   "
              "goal: 1.1 or less")


if __name__ == "__main__":
    main()
