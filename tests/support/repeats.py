"""How often a kill test strikes at each point: once in every test run, 20 times with
JOBS_TEST_REPEATS=20."""
from __future__ import annotations

import os

REPEATS = range(int(os.environ.get("JOBS_TEST_REPEATS", "1")))
