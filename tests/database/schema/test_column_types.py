"""What a column of an app's takes is told by its type, without asking the database."""
from __future__ import annotations

import pytest

from jobs_lib.database.schema.column_types import takes

BINARY = {"type": "varbinary", "whole": "varbinary(16)", "longest": 16, "largest": None}
ENUM = {"type": "enum", "whole": "enum('sent','failed')", "longest": 6, "largest": None,
        "collation": "COLLATE utf8mb4_bin"}


@pytest.mark.parametrize("value, facts, fits", [
    (bytes(range(240, 256)), BINARY, True), ("é".encode() * 8, BINARY, True),
    (bytes(17), BINARY, False), ("é".encode() * 9, BINARY, False),
    # as the server returns what a function makes of it
    (b"sent", ENUM, True), (b"other", ENUM, False)])
def test_bytes_are_counted_as_bytes(value, facts, fits):                     # R75
    assert takes(value, facts) is fits
