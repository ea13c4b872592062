"""For a test that is about one engine: it runs on that alone, and on the other there is none."""
from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("engine_url", ["mariadb"], indirect=True)
