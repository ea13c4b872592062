"""A healthy installation, for each test to spoil."""
from __future__ import annotations

import pytest

from tests.support.clinic import Clinic


@pytest.fixture
def clinic(tmp_path, engine_url):
    """On each engine."""
    made = Clinic(tmp_path, engine_url)
    yield made
    made.db.close()


@pytest.fixture
def lite(tmp_path, pool):
    """On SQLite alone, for what has nothing to do with the engine."""
    made = Clinic(tmp_path, pool.sqlite(tmp_path))
    yield made
    made.db.close()
