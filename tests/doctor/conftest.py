"""A healthy installation, for each test to spoil."""
from __future__ import annotations

import pytest

from tests.support.doctor_bench import DoctorBench


@pytest.fixture
def installed(tmp_path, engine_url):
    """On each engine."""
    made = DoctorBench(tmp_path, engine_url)
    yield made
    made.db.close()


@pytest.fixture
def lite(tmp_path, pool):
    """On SQLite alone, for what has nothing to do with the engine."""
    made = DoctorBench(tmp_path, pool.sqlite(tmp_path))
    yield made
    made.db.close()
