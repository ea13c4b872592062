"""The command line of the storm: `python3 -m tests.storm --help`."""
from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.servers.mariadb import MariaDB
from tests.simulation.host import Host

from . import __doc__ as described
from .storm import KINDS


def main(argv: list[str]) -> int:
    """Storms as asked for; 1 when one of them found something."""
    parser = argparse.ArgumentParser(description=described, prog="python3 -m tests.storm",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", action="append", choices=[*KINDS])
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = parser.parse_args(argv)
    Host.warm()
    good = True
    with ExitStack() as stack:
        server = None if options.engine == ["sqlite"] else stack.enter_context(MariaDB())
        for job in options.job or KINDS:
            for engine in options.engine or ("sqlite", "mariadb"):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
                began, url = time.monotonic(), server.database() if engine == "mariadb" else None
                storm = KINDS[job](job, options.seed, folder, url)
                storm.run(options.kills)
                print(f"{job} on {engine}: {len(storm.wrong)} wrong, seed {options.seed}, "
                      f"{storm.tick} runs, {time.monotonic() - began:.0f} s; " + ", ".join(
                          f"{number} {name}" for name, number in sorted(storm.kills.items())),
                      *storm.wrong[:5], sep="\n    ", flush=True)
                good = good and not storm.wrong
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
