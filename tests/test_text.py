"""Sizes as people read them, in units of 1000 for users and of 1024 for operators."""
from __future__ import annotations

import pytest

from tests.support.product import size


@pytest.mark.parametrize("number, expected", [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
    (3_440_000, "3.4 MB"), (9_949_999, "9.9 MB"), (9_950_000, "10 MB"),
])
def test_sizes_for_users(number, expected):
    assert size(number, 1000) == expected


@pytest.mark.parametrize("number, expected", [
    (1023, "1,023 bytes"), (1024, "1 kB"), (310 << 20, "310 MB"), (int(1.44 * (1 << 30)), "1.4 GB"),
    (25 << 30, "25 GB"), (3 << 40, "3.0 TB"), (-1, "unknown"), (None, "unknown"),
])
def test_sizes_for_operators(number, expected):
    assert size(number) == expected
