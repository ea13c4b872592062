"""Reading archives as anybody could: with gzip and json, without a line of ours."""
from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path


def lines(path: Path) -> list[dict]:
    """The rows of one archive."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def named(db, folder: Path) -> dict[str, list[dict]]:
    """{name: rows} of every archive that `audit_archives` calls verified or purged."""
    rows = db.query("SELECT location FROM {audit_archives} WHERE status IN ('verified', 'purged') "
                    "ORDER BY id")
    names = [row["location"].rpartition("/")[2] for row in rows]
    return {name: lines(folder / name) for name in names}


def check_none_is_lost(db, folder: Path, before: list[dict]) -> None:
    """Each row as it was is in the table or in an archive, and none in two."""
    table = {row["id"]: row for row in db.query("SELECT * FROM {audit_logs}")}
    held = [row for rows in named(db, folder).values() for row in rows]
    assert max(Counter(row["id"] for row in held).values(), default=1) == 1
    archived = {row["id"]: row for row in held}
    for row in before:
        assert row in (table.get(row["id"]), archived.get(row["id"])), row["id"]
