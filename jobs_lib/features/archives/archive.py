"""An archive (docs/archives.md): gzip of JSON Lines, one audit row a line."""
from __future__ import annotations

import gzip
import hashlib
import json

from jobs_lib.ports.storage.store import BLOCK, ArchiveError

MOST_ROWS, MOST_BYTES = 10_000, 4 * 1024 ** 2       # of one archive, before it is compressed


def packed(rows) -> tuple[bytes, list]:
    """The file of the first of these rows, as many as one archive takes, and their ids. No time and
    no name is in its header: same rows, same bytes."""
    lines, ids, size = [], [], 0
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()
        lines.append(line + b"\n")
        ids.append(row["id"])
        size += len(line)
        if len(ids) >= MOST_ROWS or size >= MOST_BYTES:
            break
    return gzip.compress(b"".join(lines), mtime=0), ids


def blocks(data: bytes):
    """The same in parts that a slow server takes in time."""
    return (data[start:start + BLOCK] for start in range(0, len(data), BLOCK))


def digest(data: bytes) -> str:
    """What `audit_archives` has of a file."""
    return hashlib.sha256(data).hexdigest()


def read_back(store, name: str, sha256: str) -> list:
    """The ids of the rows that the store holds. ArchiveError where it is not what was written."""
    data = b"".join(store.read(name))
    if digest(data) != sha256:
        raise ArchiveError(f"{store.location(name)} is not what was written: its SHA-256 is "
                           "another. None of its rows is deleted; if it was verified before, put "
                           "a good copy in its place, or delete its row in audit_archives")
    return [json.loads(line)["id"] for line in gzip.decompress(data).splitlines()]


def _plain(value):
    """What JSON has no word for; the tables of this bundle hold none of it, an app's own columns
    may."""
    return {"hex": bytes(value).hex()} if isinstance(value, (bytes, bytearray)) else str(value)
