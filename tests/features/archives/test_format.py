"""The format of archives stays as it is documented, and nothing that changes in a file goes
unseen."""
from __future__ import annotations

import gzip
import json
import os
import random
import time

import pytest

from jobs_lib.features.archives import format as form

ROWS = [
    {"id": 7, "user_id": 3, "actor": "app", "event": "login", "severity": "info",
     "ip": "203.0.113.9", "details": '{"agent": "é \\"x\\""}', "created_at": "2025-01-02 03:04:05"},
    {"id": 9, "user_id": None, "actor": "", "event": "line\nend\u2028", "severity": "critical",
     "ip": "", "details": None, "created_at": "2019-12-31 23:59:59"},
]
LINES = (
    '{"id":7,"user_id":3,"actor":"app","event":"login","severity":"info","ip":"203.0.113.9",'
    '"details":"{\\"agent\\": \\"é \\\\\\"x\\\\\\"\\"}","created_at":"2025-01-02 03:04:05"}\n'
    '{"id":9,"user_id":null,"actor":"","event":"line\\nend\u2028","severity":"critical","ip":"",'
    '"details":null,"created_at":"2019-12-31 23:59:59"}\n')
MANIFEST = """\
{
  "format": "audit-archive",
  "version": 1,
  "file": "audit-20261124T043000Z-0123456789abcdef-1.jsonl.gz",
  "table": "audit_logs",
  "columns": [
    "id",
    "created_at"
  ],
  "row_count": 2,
  "first_id": 7,
  "last_id": 9,
  "first_time": "2019-12-31 23:59:59",
  "last_time": "2025-01-02 03:04:05",
  "rows_bytes": 300,
  "bytes": 200,
  "sha256": "00ff",
  "seal": "fc1fdffa8a525c54f3ceac8e66ab8d846c2fe1ad745ce286cde343f0361bab07",
  "manifest_sha256": "d77f9523c99d96492e1bfdde8fee486a525564d7acc62f33d200af6c8e8ae3f2"
}
"""


KEY = b"k" * 32


def made(rows) -> tuple[bytes, bytes]:
    """(the rows' file, the manifest)."""
    tally = form.Tally()
    data = b"".join(form.compressed(iter(rows), tally))
    return data, form.manifest_bytes(tally.facts(), KEY, file="a.jsonl.gz", table="audit_logs",
                                     columns=list(ROWS[0]))


def many(number: int) -> list[dict]:
    chance = random.Random(5)
    return [{**ROWS[0], "id": id, "details": chance.randbytes(20).hex()}
            for id in range(1, number + 1)]


def is_seen(data: bytes, manifest: bytes) -> bool:
    """Whether anything is found to be wrong with the two."""
    try:
        judge(data, manifest)
    except form.Damaged:
        return True
    return False


def judge(data: bytes, manifest: bytes) -> form.Tally:
    blocks = [data[at:at + 1000] for at in range(0, len(data), 1000)]
    return form.check(blocks, form.read_manifest([manifest]))


# As it is written

def test_a_row_is_a_line_of_json_with_the_columns_in_order():
    assert gzip.decompress(made(ROWS)[0]).decode() == LINES
    assert [json.loads(text) for text in LINES.split("\n")[:-1]] == ROWS


def test_the_file_has_neither_a_name_nor_a_time_in_it():
    assert made(ROWS) == made(ROWS)
    assert made(ROWS)[0][:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_the_manifest_is_as_documented():
    facts = form.Facts(2, 7, 9, "2019-12-31 23:59:59", "2025-01-02 03:04:05", 300, 200, "00ff")
    text = form.manifest_bytes(facts, KEY,
                               file="audit-20261124T043000Z-0123456789abcdef-1.jsonl.gz",
                               table="audit_logs", columns=["id", "created_at"])
    assert text.decode() == MANIFEST
    assert form.read_manifest([text])["row_count"] == 2


def test_what_json_has_no_word_for_is_kept_readably():
    assert form.line({"id": 1, "blob": b"\x00\xff"}) == b'{"id":1,"blob":{"hex":"00ff"}}\n'


def test_it_is_read_back_as_it_was():
    data, manifest = made(many(5000))
    assert list(judge(data, manifest).ids) == list(range(1, 5001))
    assert judge(*made([])).facts().row_count == 0


# Who wrote it

def test_only_who_holds_the_key_can_seal_a_manifest():     # R72
    manifest = form.read_manifest([made(ROWS)[1]])
    assert form.is_sealed(manifest, KEY)
    assert not form.is_sealed(manifest, b"x" * 32)
    for changed in ({"row_count": 3}, {"sha256": "00"}, {"more": 1}, {"seal": None}, {"seal": 5},
                    {"seal": "\ud800"}):
        assert not form.is_sealed({**manifest, **changed}, KEY)
    del manifest["seal"]
    assert not form.is_sealed(manifest, KEY)


# What changes is seen

def test_one_flipped_bit_anywhere_is_found():
    seed = int(os.environ.get("JOBS_TEST_SEED", time.time()))
    chance = random.Random(seed)
    data, manifest = made(many(300))
    for at in [chance.randrange(8 * len(data)) for _ in range(300)]:
        assert is_seen(flipped(data, at), manifest), f"bit {at} of the rows, seed {seed}"
    for at in range(8 * len(manifest)):
        assert is_seen(data, flipped(manifest, at)), f"bit {at} of the manifest"
    assert not is_seen(data, manifest)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("change, said", [
    (lambda data: data[:-1], "it is cut off"),
    (lambda data: data[:len(data) // 2], "it is cut off"),
    (lambda data: b"", "it is cut off"),
    (lambda data: data + b"x", "something follows after its end"),
    (lambda data: data + data, "something follows after its end"),
    (lambda data: b"no gzip", "it cannot be expanded"),
    (lambda data: made(many(299))[0], "its row_count is 299, and the manifest says 300"),
    (lambda data: made([*many(299), many(1)[0]])[0],
     "its last_id is 299, and the manifest says 300"),
    (lambda data: gzip.compress(gzip.decompress(data)), "and the manifest says"),
    (lambda data: gzip.compress(b'{"id": 1}\n'), "line 1 is no row of the audit log"),
    (lambda data: gzip.compress(b"\xff\n"), "line 1 is no row"),
    (lambda data: gzip.compress(b'{"id":%d,"created_at":"x"}\n' % 2 ** 70), "line 1 is no row"),
    (lambda data: gzip.compress(b'{"id":%s,"created_at":"x"}\n' % (b"9" * 5000)),
     "line 1 is no row"),
    (lambda data: gzip.compress(gzip.decompress(data)[:-1]), "its last line is cut off"),
    (lambda data: gzip.compress(b'{"id":1,"created_at":"x"}\n'), "line 1 has other columns"),
])
def test_another_file_is_told_from_it(change, said):
    data, manifest = made(many(300))
    with pytest.raises(form.Damaged, match=said):
        judge(change(data), manifest)


def test_a_row_twice_is_found_even_if_the_manifest_agrees():
    with pytest.raises(form.Damaged, match="a row is in it twice"):
        judge(*made([ROWS[0], ROWS[0]]))


@pytest.mark.parametrize("change, said", [
    (lambda text: text.replace(b'"version": 1', b'"version": 2'),
     "has version 2, and this bundle reads 1"),
    (lambda text: text.replace(b'"row_count": 2', b'"row_count": 3'),
     "its own checksum is another"),
    (lambda text: text[:-20], "no manifest of an archive, or damaged"),
    (lambda text: b"[]", "no manifest of an archive"),
    (lambda text: b"[" * 60_000, "no manifest of an archive"),
    (lambda text: text.replace(b'"audit_logs"', b'"\\ud800"'), "no manifest of an archive"),
    (lambda text: text * 200, "too long"),
])
def test_another_manifest_is_told_from_it(change, said):
    with pytest.raises(form.Damaged, match=said):
        form.read_manifest([change(made(ROWS)[1])])


@pytest.mark.parametrize("written", [
    lambda text: text.replace(b"\n", b"\r\n"),             # as a transfer as text leaves it
    lambda text: json.dumps(dict(sorted(json.loads(text).items()))).encode(),
])
def test_a_manifest_that_says_the_same_in_another_layout_is_whole(written):
    text = made(ROWS)[1]
    assert written(text) != text
    assert form.read_manifest([written(text)]) == form.read_manifest([text])


def test_a_bomb_takes_no_memory():
    import tracemalloc

    bomb = gzip.compress(b" " * 100_000_000, 9)
    tracemalloc.start()
    with pytest.raises(form.Damaged, match="a line has no end"):
        list(form.rows([bomb], form.Tally()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * form.LONGEST_LINE


@pytest.mark.parametrize("more", [b"\0", b"more" * 30, "itself"])
@pytest.mark.timeout(20)
# once for ever read again
def test_what_follows_the_end_of_a_large_file_is_seen_and_ends(more):
    data, manifest = made(many(3000))
    assert is_seen(data + (data if more == "itself" else more), manifest)
