"""The format of an archive (docs/archives.md): gzip of JSON Lines, one object a row, and a manifest
beside it.

Everything is a stream: an archive is written and read back in memory that does not grow with it.
"""
from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from array import array

from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

FORMAT, VERSION = "audit-archive", 1
ROWS_END, MANIFEST_END = ".jsonl.gz", ".manifest.json"
LEVEL = 6
BLOCK = 65536               # bytes of lines taken from zlib at once
LOOK_EVERY = 500            # rows: some milliseconds
LONGEST_LINE = 64 * 1024 ** 2
LONGEST_MANIFEST = 65536
CHECKSUM, SEAL = "manifest_sha256", "seal"
LABEL = "audit archives"    # ctx.secret: the key of the seal
INT64 = 2 ** 63
GZIP = 16 + zlib.MAX_WBITS  # the format of RFC 1952

Facts = namedtuple("Facts",
                   "row_count first_id last_id first_time last_time rows_bytes bytes sha256")
Facts.__doc__ = """What is true of an archive's rows, whatever anybody says.

row_count, first_id, last_id    how many; the smallest and the largest id
first_time, last_time           the earliest and the latest created_at
rows_bytes, bytes, sha256       of the lines; of the file as it is compressed
"""


class Damaged(JobsError):
    """An archive is not what its manifest says, or not an archive at all."""


class Tally:
    """Counts rows and bytes as they pass, in either direction. `ids` are in the order of the
    file."""

    def __init__(self) -> None:
        # numbers in little memory, or keys that are text
        self.ids: array | list = array("q")
        self.first_time = self.last_time = ""
        self.rows_bytes = self.bytes = 0
        self._digest = hashlib.sha256()

    def row(self, row: dict) -> None:
        """Count one more row, a dict."""
        id, time = row["id"], row["created_at"]
        if not self.ids and isinstance(id, str):
            self.ids = []
        self.ids.append(id)
        self.first_time = min(self.first_time or time, time)
        self.last_time = max(self.last_time, time)

    def block(self, block: bytes) -> None:
        """Bytes of the compressed file."""
        self.bytes += len(block)
        self._digest.update(block)

    def facts(self) -> Facts:
        """The facts about all lines so far."""
        return Facts(len(self.ids), min(self.ids, default=None), max(self.ids, default=None),
                     self.first_time or None, self.last_time or None, self.rows_bytes, self.bytes,
                     self._digest.hexdigest())


def line(row: dict) -> bytes:
    """A row as a line: UTF-8, no spaces, the columns in the order of the table."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"),
                      default=_plain).encode() + b"\n"


def _plain(value):
    """What JSON has no word for; the tables of this bundle hold none of it, an app's own columns
    may."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    return str(value)


def compressed(rows, tally: Tally):
    """The blocks of the file for these rows. No time and no name is in its header: same rows, same
    bytes."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)

    def parts():
        for row in rows:
            text = line(row)
            tally.row(row)
            tally.rows_bytes += len(text)
            yield packer.compress(text)
        yield packer.flush()

    for block in filter(None, parts()):
        tally.block(block)
        yield block


def manifest_bytes(facts: Facts, key: bytes, **more) -> bytes:
    """The manifest's text: `more` (file, table, columns, ...), the facts, our seal, and its own
    checksum."""
    manifest = {"format": FORMAT, "version": VERSION, **more, **facts._asdict()}
    manifest[SEAL] = _sealed(manifest, key)
    checksum = hashlib.sha256(_plain_bytes(manifest)).hexdigest()
    return (json.dumps({**manifest, CHECKSUM: checksum}, ensure_ascii=False, indent=2)
            + "\n").encode()


def is_sealed(manifest: dict, key: bytes) -> bool:
    """Whether who holds the key wrote this manifest. Anybody can make one that is whole; no one
    else can seal it."""
    found = manifest.get(SEAL)
    return isinstance(found, str) and hmac.compare_digest(found.encode("utf-8", "replace"), _sealed(
        {name: value for name, value in manifest.items() if name != SEAL}, key).encode())


def _sealed(manifest: dict, key: bytes) -> str:
    return hmac.digest(key, _plain_bytes(manifest), "sha256").hex()


def _plain_bytes(manifest: dict) -> bytes:
    return json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_manifest(blocks) -> dict:
    """The manifest, once it is sure that it is whole. Damaged says what is wrong with it."""
    text = b""
    for block in blocks:
        text += block
        if len(text) > LONGEST_MANIFEST:
            raise Damaged("the manifest is no manifest: it is too long")
    try:
        found = json.loads(text)
        if found["format"] != FORMAT:
            raise ValueError
        given, checksum = found.pop(CHECKSUM), hashlib.sha256(_plain_bytes(found)).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("the manifest is no manifest of an archive, or damaged") from None
    if found.get("version") != VERSION:
        raise Damaged(f"the manifest has version {found.get('version')}, and this bundle reads "
                      f"{VERSION}")
    if given != checksum:
        raise Damaged("the manifest is damaged: its own checksum is another")
    if set(Facts._fields) - set(found):
        raise Damaged("the manifest lacks facts")
    return found


def rows(blocks, tally: Tally):
    """Each row of a file as a dict. Damaged, at the latest at its end, if it is not whole."""
    held = bytearray()          # the beginning of a line that goes on
    for part in _expanded(blocks, tally):
        tally.rows_bytes += len(part)
        held += part
        if b"\n" in part:
            *lines, held = held.split(b"\n")
            for text in lines:
                row = _row(text, len(tally.ids) + 1)
                tally.row(row)
                yield row
        elif len(held) > LONGEST_LINE:
            raise Damaged("a line has no end")
    if held:
        raise Damaged("its last line is cut off")


def _expanded(blocks, tally: Tally):
    packer = zlib.decompressobj(GZIP)
    try:
        for block in blocks:
            tally.block(block)
            while block:
                yield packer.decompress(block, BLOCK)
                block = packer.unconsumed_tail
            if packer.unused_data:
                raise Damaged("something follows after its end")
    except zlib.error as error:
        raise Damaged(f"it cannot be expanded: {error}") from None
    if not packer.eof:
        raise Damaged("it is cut off")


def _row(text: bytearray, number: int) -> dict:
    try:
        row = json.loads(text)
        is_key = isinstance(row["id"], str) or (type(row["id"]) is int
                                                and -INT64 <= row["id"] < INT64)
        is_row = is_key and isinstance(row["created_at"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_row = False
    if not is_row:
        raise Damaged(f"line {number} is no row of the audit log, or damaged")
    return row


def check(blocks, manifest: dict, look=None) -> Tally:
    """Read a whole file and compare it with its manifest; Damaged says what differs.

    `look()` is called every LOOK_EVERY rows: it may raise to end this.
    """
    tally, columns = Tally(), manifest.get("columns")
    for number, row in enumerate(rows(blocks, tally)):
        if list(row) != columns:
            raise Damaged(f"line {number + 1} has other columns than the manifest says")
        if look and number % LOOK_EVERY == 0:
            look()
    found = tally.facts()._asdict()
    for name, value in found.items():
        if manifest[name] != value:
            raise Damaged(f"its {name} is {value}, and the manifest says {manifest[name]}")
    if len(set(tally.ids)) != len(tally.ids):
        raise Damaged("a row is in it twice")
    return tally
