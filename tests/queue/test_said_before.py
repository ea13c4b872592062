"""What `--dry-run`, `test`, `status` and `queue` say of mail is what the next run does: when a
limit is used up, the relay is paused, or a stored message is missing."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.support.product import clock
from tests.support.shell import Shell

TABLES = {"retry_forwards": ("forwards", "failed_emails"),
          "send_notifications": ("notifications", "notifications")}
ROWS = 6
LIMITED, ROOM, PAUSED, MISSING = "a limit used up", "room for two", "a paused relay", "nothing"
# {what is in the way: (messages that were sent within the hour, its limit, what may go)}
SITUATIONS = {LIMITED: (9, 10, 0), ROOM: (9, 12, 2), PAUSED: (0, 100, 0), MISSING: (0, 100, ROWS)}


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, mail={"transport": "maildir", "maildir": "out"})
    yield made
    made.close()


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("job", TABLES)
def test_what_is_said_before_is_what_the_run_does(service, job, situation):     # R11 R37
    queue, table = TABLES[job]
    before, limit, room = SITUATIONS[situation]
    service.configure("mail", per_hour=str(limit))
    fill = service.forwards if job == "retry_forwards" else service.notices
    if before:
        fill(before)
        service.run(job)
    fill(ROWS)
    missing = 0
    if job == "retry_forwards":         # the longest due
        row = service.db.row("SELECT raw_path FROM {failed_emails} WHERE status = 'pending' "
                             "ORDER BY id LIMIT 1")
        (service.spool / row["raw_path"]).unlink()
        missing = int(room > 0)         # it is met only where something may go
    if situation == PAUSED:
        service.db.upsert("relay_state", {"id": 1}, {
            "paused_until": clock.now() + timedelta(minutes=20), "reason": "451 4.3.2 later",
            "since": clock.now(), "failures": 1})
    said = [service.job(job, "--dry-run"), service.json("test", job)]
    shown = next(each for each in service.json("queue") if each["queue"] == queue)
    overview = service("status", "--json").out
    done = service.job(job)
    counts = done["counts"]
    assert (counts["sent"], counts["failed"]) == (min(room, ROWS - missing), missing)
    for told in said:
        assert [told["counts"].get(name, 0) for name in ("sent", "failed")] == [
            counts["sent"], counts["failed"]]
        assert (done["stop_reason"] or "") in json.dumps(told)
    listed = next(each for each in json.loads(overview)["queues"] if each["name"] == queue)
    assert shown["due"] == listed["due"] == ROWS
    assert service.statuses(table).get("pending", 0) == ROWS - counts["sent"] - counts["failed"]
    if not room:            # and why, in the same words
        reason = done["stop_reason"].lower()
        assert any(reason in words.lower() for words in shown["holds"])
        assert reason in overview.lower()
