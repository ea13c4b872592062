"""Which program this is and where it is: its version, the file that is started, and the folder
that it shares with config.ini."""
from __future__ import annotations

import os
import sys

VERSION = "0.1.0"
# the folder of jobs.py, jobs_lib and vendor
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(HOME, "jobs.py")


def python() -> str:
    """For the lines of cron: the Python that install.sh gave the packages to, whichever is asked;
    else this one."""
    own = os.path.join(HOME, ".venv", "bin", "python")
    return own if os.access(own, os.X_OK) else sys.executable


def add_packages() -> None:
    """Let an app that imports `jobs_lib` find the packages that came with it, after its own:
    jobs.py does so itself."""
    for path in (os.path.join(HOME, "vendor"), os.path.join(
            HOME, ".venv/lib/python{}.{}/site-packages".format(*sys.version_info))):
        if path not in sys.path and os.path.isdir(path):
            sys.path.append(path)


def way_to(package: str, word: str | None = "", home: str = HOME) -> str:
    """What to do for a package that is missing, for the end of a sentence. Never pip for the
    system's own Python, which Debian refuses.

    word: of `./install.sh --with`; "" for what that installs anyway, None for what it does not know
    """
    own = os.path.join(home, ".venv")
    python = os.path.join(own, "bin", "python")
    ours = os.path.join(own, "lib", "python{}.{}".format(*sys.version_info))
    if os.path.exists(python) and not os.path.isdir(ours):
        return f"`.venv/bin/python jobs.py` in {home} has it: use that Python"
    if sys.prefix not in (sys.base_prefix, own):         # a panel's environment, a worker's
        return f"run `{sys.executable} -m pip install {package}`"
    if word is not None and os.path.isfile(os.path.join(home, "install.sh")):
        return f"run `./install.sh{f' --with {word}' if word else ''}` in {home}"
    make = "" if os.path.exists(python) else "python3 -m venv .venv && "
    return f"run `{make}.venv/bin/python -m pip install {package}` in {home}"


def program(config_path: str) -> str:
    """What a command line begins with in HOME: `python3 jobs.py`, and --config for another than the
    file in there."""
    path = os.path.abspath(config_path)
    start = "python3 jobs.py"
    if path == os.path.join(HOME, "config.ini"):
        return start
    import shlex
    return f"{start} --config {shlex.quote(path)}"
