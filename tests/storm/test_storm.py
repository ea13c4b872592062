"""A few kills of each of these jobs, the same points each time; `python3 -m tests.storm` makes
hundreds."""
from __future__ import annotations

import subprocess
import sys

import pytest

from tests.storm.storm import KINDS
from tests.support.shell import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("job", KINDS)
def test_a_few_kills_lose_nothing_and_repeat_no_more_than_is_on_record(job):    # R2 R12 R22 R52
    done = subprocess.run([sys.executable, "-m", "tests.storm", "--job", job, "--kills", "6",
                           "--seed", "1"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
