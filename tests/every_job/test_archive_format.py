"""An archive of audit rows is what `zcat` and `sha256sum` read: gzip JSON Lines, a row a line with
each of its columns, as `audit_archives` says."""
from __future__ import annotations

import gzip
import hashlib
import json
from datetime import datetime, timedelta, timezone

from tests.support.db import Client
from tests.support.shell import Shell

ROWS = [
    {"id": 3, "user_id": 8, "actor": "app", "event": "login", "severity": "info",
     "ip": "2001:db8::1", "details": '{"agent": "é \\"x\\""}', "created_at": "2025-01-02 03:04:05"},
    {"id": 4, "user_id": None, "actor": "", "event": "line\nend", "severity": "warning",
     "ip": "", "details": None, "created_at": "2025-01-02 03:04:05"},
    {"id": 9, "user_id": 8, "actor": "ops", "event": "note", "severity": "critical", "ip": "",
     "details": "no JSON: 𝄞\u2028", "created_at": "2016-12-31 23:59:59"},
]
STAYS = {**ROWS[0], "id": 10, "severity": "critical"}          # for seven years


def test_rows_are_deleted_out_of_a_file_that_holds_them_as_they_were(tmp_path, engine_url):   # R57
    service = Shell(tmp_path, engine_url, archive={"store": "archives"})
    db, now = Client(engine_url), datetime.now(timezone.utc).replace(microsecond=0)
    db.insert_all("audit_logs", [*ROWS, STAYS, {**STAYS, "id": 11, "created_at": now}])
    counts = service.job("archive_audit_logs")["counts"]
    assert (counts["archived"], counts["deleted"]) == (3, 3)
    assert [row["id"] for row in db.query("SELECT id FROM {audit_logs} ORDER BY id")] == [10, 11]
    [archive] = db.query("SELECT * FROM {audit_archives}")
    content = next((tmp_path / "archives").glob("*.gz")).read_bytes()
    assert archive["location"].endswith(".jsonl.gz")
    assert archive["sha256"] == hashlib.sha256(content).hexdigest()
    lines = gzip.decompress(content).decode("utf-8").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == ROWS
    assert (archive["row_count"], archive["first_id"], archive["last_id"]) == (3, 3, 9)
    assert archive["status"] == "purged"
    year_ago = now - timedelta(days=365)
    cutoff = datetime.fromisoformat(archive["cutoff"]).replace(tzinfo=timezone.utc)
    assert year_ago <= cutoff < year_ago + timedelta(minutes=10)
    db.close()
    service.close()
