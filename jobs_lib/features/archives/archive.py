"""An archive (docs/archives.md): gzip of JSON Lines, one audit row a line.

It is a stream in either direction: one is written and read back in memory that does not grow with
it.
"""
from __future__ import annotations

import hashlib
import json
import zlib

from jobs_lib.ports.storage.store import ArchiveError

MOST_ROWS, MOST_BYTES = 10_000, 64 * 1024 ** 2      # of one archive, before it is compressed
BLOCK = 65536               # bytes of lines taken from zlib at once
LEVEL = 6
GZIP = 16 + zlib.MAX_WBITS  # the format of RFC 1952


class Damaged(ArchiveError):
    """An archive is not what was written."""


class Contents:
    """What an archive holds, known as its bytes pass: the ids of its rows in their order, and the
    SHA-256 of the file."""

    def __init__(self) -> None:
        self.ids: list = []
        self._digest = hashlib.sha256()

    def written(self, rows):
        """The bytes of a file for the first of these rows, as many as one archive takes, in blocks.
        No time and no name is in its header: same rows, same bytes."""
        packer, size = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP), 0
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":"),
                              default=_plain).encode() + b"\n"
            self.ids.append(row["id"])
            size += len(line)
            yield self._seen(packer.compress(line))
            if size >= MOST_BYTES:
                break
        yield self._seen(packer.flush())

    def read(self, blocks) -> None:
        """Take in a whole file. Damaged where it is none."""
        packer, held = zlib.decompressobj(GZIP), b""
        try:
            for block in blocks:
                self._seen(block)
                while block:
                    part = packer.decompress(block, BLOCK)
                    block = packer.unconsumed_tail
                    *lines, held = (held + part).split(b"\n")
                    self.ids += [json.loads(line)["id"] for line in lines]
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"it cannot be read: {error}") from None
        if held or not packer.eof:
            raise Damaged("it is cut off")

    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._digest.hexdigest()

    def _seen(self, block: bytes) -> bytes:
        self._digest.update(block)
        return block


def read_back(store, location: str, sha256: str, row_count: int) -> list:
    """The ids of the rows that the store holds, once it is sure that they are what was written.
    Damaged where they are not."""
    found = Contents()
    found.read(store.read(location.rpartition("/")[2]))
    if (found.sha256(), len(found.ids)) != (sha256, row_count):
        raise Damaged("it is another file than the table audit_archives names")
    return found.ids


def _plain(value):
    """What JSON has no word for; the tables of this bundle hold none of it, an app's own columns
    may."""
    return {"hex": bytes(value).hex()} if isinstance(value, (bytes, bytearray)) else str(value)
