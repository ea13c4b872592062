"""A fault that is put into the product on purpose is noticed, and so told."""
from __future__ import annotations

import pytest

from tests.simulation import mutate

NOTICED_SOON = "retried-an-hour-early"


@pytest.mark.slow
def test_a_fault_is_found_and_so_said():
    # R76
    assert mutate.search(NOTICED_SOON, days=8).startswith(f"{NOTICED_SOON}: found on day ")


def test_what_is_on_record_is_about_faults_that_are_there():
    recorded = [line.partition(":")[0] for line in mutate.FOUND.read_text().splitlines()
                if ": " in line]
    assert recorded
    assert set(recorded) <= set(mutate.MUTANTS)
