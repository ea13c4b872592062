#!/usr/bin/env python3
"""The door to every background job: `python3 jobs.py --help`."""
import os
import sys

if sys.version_info < (3, 9):
    sys.exit("jobs.py needs Python 3.9 or newer; this is %d.%d. Your host may have a newer one by another name, "
             "e.g. python3.11 (cPanel: 'Setup Python App')." % sys.version_info[:2])

# Packages that were uploaded beside this file, where nothing can be installed.
vendor = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor")
if os.path.isdir(vendor):
    sys.path.insert(1, vendor)

from jobs_lib.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
