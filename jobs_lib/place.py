"""Where this program lies: the file that is started, and the folder that it and config.ini are in."""
from __future__ import annotations

import os

_ABOVE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKED = os.path.isfile(_ABOVE)                 # all of it is one file, jobs.pyz
SCRIPT = _ABOVE if PACKED else os.path.join(_ABOVE, "jobs.py")
HOME = os.path.dirname(SCRIPT)
