"""`python peak.py WORDS`: `jobs.py WORDS`, and its peak memory in KiB as the last line on stderr.
It meets what launch.py does.

VmHWM, and not `ru_maxrss`: that one begins with the size of the process that started this one.
"""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import (
    launch,  # noqa: F401
    product,
)

code = product.main(sys.argv[1:])
status = Path("/proc/self/status").read_text(encoding="ascii")
print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
