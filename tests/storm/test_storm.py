"""Some kills of each of these jobs, the same points each time; `STORM=200` in the environment makes
200, at other points."""
from __future__ import annotations

import os

import pytest

from tests.storm.storm import KINDS, play

KILLS = int(os.environ.get("STORM", "6"))
SEED = int.from_bytes(os.urandom(3), "big") if "STORM" in os.environ else 1


@pytest.mark.slow
@pytest.mark.parametrize("job", KINDS)
# R2 R12 R22 R52
def test_kills_lose_nothing_and_repeat_no_more_than_is_on_record(
        job, blank_url, tmp_path, alone):
    assert alone(play, job, SEED, tmp_path, blank_url, KILLS) == [], f"seed {SEED}"
