#!/usr/bin/env python3
"""The door to every background job: `python3 jobs.py --help`."""
import os
import sys

if sys.version_info < (3, 9):
    sys.exit("jobs.py needs Python 3.9 or newer; this is %d.%d. Your host may have a newer one by another name, "
             "e.g. python3.11 (cPanel: 'Setup Python App')." % sys.version_info[:2])

# Packages beside this file: uploaded into vendor/ where nothing can be installed, or put into .venv by install.sh,
# so that any Python of that version finds them. In jobs.pyz this is its __main__, and vendor/ is inside.
here = os.path.dirname(os.path.abspath(__file__))
for packages in (".venv/lib/python%d.%d/site-packages" % sys.version_info[:2], "vendor"):
    if os.path.isdir(os.path.join(here, packages)) or os.path.isfile(here):
        sys.path.insert(1, os.path.join(here, packages))

from jobs_lib.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
