#!/usr/bin/env python3
"""The door to every background job: `python3 jobs.py --help`."""
import gc
import os
import sys

# The modules that a run loads are no garbage, and to look for some among them takes a tenth of an
# idle run: so rarely, from here on.
if __name__ == "__main__":
    gc.set_threshold(20_000)
if sys.version_info < (3, 9):
    sys.exit("jobs.py needs Python 3.9 or newer; this is %d.%d. Your host may have a newer one by "
             "another name, e.g. python3.11 (cPanel: 'Setup Python App')." % sys.version_info[:2])

# With less memory an import or a thread fails, in words that do not say why, or the process ends by
# a signal.
LEAST_MEMORY = 44 * 1024 ** 2
try:
    import resource
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
except ModuleNotFoundError:
    memory = -1                 # not known
except (ImportError, MemoryError, SystemError):
    memory = 0                  # not even this fits
if __name__ == "__main__" and 0 <= memory < LEAST_MEMORY:
    sys.exit("jobs.py: memory is too low for Python and the jobs: a process may use %d MB here "
             "(ulimit -v), and they need %d MB at least: raise the limit, or ask your host to"
             % (memory >> 20, LEAST_MEMORY >> 20))

if __name__ == "__main__":
    # Packages that came with the bundle, or that install.sh put into .venv, where any Python of
    # that version finds them.
    here = os.path.dirname(os.path.abspath(__file__))
    own = ".venv/lib/python%d.%d/site-packages" % sys.version_info[:2]
    for packages in (os.path.join(here, own), os.path.join(here, "vendor")):
        if os.path.isdir(packages):
            sys.path.insert(1, packages)
    try:
        from jobs_lib import quick_import
        quick_import.install()
        from jobs_lib.cli.main import leave, main
        leave(main(sys.argv[1:]))       # which says itself what goes wrong, if it is whole
    except KeyboardInterrupt:
        sys.exit("jobs.py: stopped by Ctrl-C")
    except (AttributeError, ImportError, NameError, SyntaxError) as error:
        where = "%s: " % error.filename if isinstance(error, SyntaxError) else ""
        sys.exit("jobs.py: a file of the program is missing or incomplete (%s%s): upload it again"
                 % (where, error))
