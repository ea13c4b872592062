"""Where this program lies: the file that is started, and the folder that it and config.ini are in."""
from __future__ import annotations

import os

_ABOVE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKED = os.path.isfile(_ABOVE)                 # all of it is one file, jobs.pyz
SCRIPT = _ABOVE if PACKED else os.path.join(_ABOVE, "jobs.py")
HOME = os.path.dirname(SCRIPT)


def program(config_path: str) -> str:
    """What a command line begins with in HOME: `python3 jobs.py`, and --config for another than the file in there."""
    path = os.path.abspath(config_path)
    start = f"python3 {os.path.basename(SCRIPT)}"
    if path == os.path.join(HOME, "config.ini"):
        return start
    import shlex
    return f"{start} --config {shlex.quote(path)}"
