#!/usr/bin/env python3
"""The door to every background job: `python3 jobs.py --help`."""
import sys

if sys.version_info < (3, 9):
    sys.exit("jobs.py needs Python 3.9 or newer; this is %d.%d. Your host may have a newer one by another name, "
             "e.g. python3.11 (cPanel: 'Setup Python App')." % sys.version_info[:2])

from jobs_lib.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
